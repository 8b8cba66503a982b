"""Presidio: names, places and numbers in running text, where its extra is installed. Nothing is looked up on a network."""

from __future__ import annotations

from typing import Any

from synthmill.refusal import MissingExtra, Refusal

from .identifiers import Finding


class Analyzer:
    """Microsoft Presidio with a spaCy model that is installed already, or with its patterns alone.

    model: name of the spaCy package or folder; None: no names of people and places, which only a model finds.
    Two things in Presidio reach for a network and are closed here: it downloads a spaCy model that is missing (it is
    refused instead), and tldextract fetches the list of public suffixes (the list it comes with is used instead).
    """

    def __init__(self, model: str | None, language: str) -> None:
        try:
            import spacy
            import tldextract.tldextract as suffixes
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.nlp_engine import SpacyNlpEngine
        except ImportError:
            raise MissingExtra("pii: engine: presidio", "presidio-analyzer", "presidio") from None
        if model is not None and not spacy.util.is_package(model):
            raise Refusal(f"pii: model: the spaCy model '{model}' is not installed; synthmill downloads none")
        suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(suffix_list_urls=(), cache_dir=None)

        class Loaded(SpacyNlpEngine):  # type: ignore[misc]
            """Takes the model as it is, where Presidio's own would download one."""

            def load(self) -> None:
                self.nlp = {language: spacy.load(model) if model else spacy.blank(language)}

        engine = Loaded(models=[{"lang_code": language, "model_name": model or "blank"}])
        engine.load()
        self._engine: Any = AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
        self._language = language

    def entities(self) -> list[str]:
        return sorted(self._engine.get_supported_entities(self._language))

    def find(self, text: str, entities: list[str], least: float) -> list[Finding]:
        """What of `entities` Presidio is at least so sure of, in order of place."""
        found = self._engine.analyze(text, self._language, entities=entities, score_threshold=least)
        return sorted((Finding(r.entity_type, r.start, r.end) for r in found), key=lambda f: (f.start, f.end, f.entity))
