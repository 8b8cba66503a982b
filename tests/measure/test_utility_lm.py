"""With a model of a few thousand random weights: the path is that of a real one. Needs the extra `lm`."""

import importlib.util
import math
from pathlib import Path

import polars as pl
import pytest

from synthmill.measure.utility.lm import LmUtility
from synthmill.plugins import Evidence, Measure
from synthmill.refusal import MissingExtra, Refusal
from synthmill.schema import Column, Schema

SCHEMA = Schema((Column("text", "text", "String"), Column("label", "categorical", "String")))
HERE = all(importlib.util.find_spec(n) for n in ("torch", "transformers", "peft"))
tuned = pytest.mark.skipif(not HERE, reason="needs torch, transformers and peft: pip install 'synthmill[lm]'")


def lines(n: int, first: int = 0, good: str = "yes sun", bad: str = "no rain") -> pl.DataFrame:
    """Two kinds of text, each with its label."""
    rows = [
        {"text": f"{good if i % 2 else bad} {i % 7}", "label": "up" if i % 2 else "down"}
        for i in range(first, first + n)
    ]
    return pl.DataFrame(rows)


def given(synthetic: pl.DataFrame, **changes: object) -> Evidence:
    known = {"train": lines(40), "holdout": lines(30, 3), "schema": SCHEMA, "seed": 1, "target": "label", **changes}
    return Evidence(synthetic, **known)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama of random weights that reads bytes, in a folder as hubs have it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: i for i, c in enumerate(["<s>", "</s>", *letters])}
    reader = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    reader.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    reader.decoder = tokenizers.decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=reader, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, initializer_range=0.2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def measure(model: str, evidence: Evidence, **options: object) -> dict[str, Measure]:
    known = {"steps": 60, "batch": 8, "rate": 2e-2, "rank": 16, "length": 32, "held": 30, **options}
    return {m.name: m for m in LmUtility(model, **known).measure(evidence)}  # type: ignore[arg-type]


@tuned
def test_tuning_teaches_the_texts_and_the_labels(tiny: str) -> None:
    m = measure(tiny, given(lines(40, 1)))
    assert set(m) == set(LmUtility.measures)
    assert m["bits_real"].high < m["bits_untrained"].low
    assert m["bits_real"].floor == m["bits_untrained"].value
    assert m["accuracy_real"].value > 0.9
    assert m["accuracy_real"].floor == 0.5
    assert m["bits_gap"].value == pytest.approx(m["bits_synthetic"].value - m["bits_real"].value)
    best = min(m["bits_real"].value, m["bits_oversampled"].value)
    assert m["bits_blend_gain"].value == pytest.approx(best - m["bits_blend"].value)
    for name in ("bits_real", "accuracy_real"):
        assert m[name].low <= m[name].value <= m[name].high
    loss = m["bits_real"].detail["loss"]
    assert loss["value"] == pytest.approx(m["bits_real"].value * math.log(2)), "a token of this model is a byte"


@tuned
def test_foreign_texts_and_wrong_labels_teach_worse(tiny: str) -> None:
    other = lines(40, 1, "QQ ZZZ", "XX KKKK").with_columns(label=pl.lit("up"))
    wrong = lines(40, 1).with_columns(
        label=pl.when(pl.col("label") == "up").then(pl.lit("down")).otherwise(pl.lit("up"))
    )
    assert measure(tiny, given(other))["bits_gap"].low > 0
    assert measure(tiny, given(wrong))["accuracy_gap"].low > 0.5


@tuned
def test_equal_calls_give_equal_numbers_and_the_base_stays_as_it_was(tiny: str) -> None:
    once, again = (measure(tiny, given(lines(40, 1)), steps=5) for _ in range(2))
    assert repr(once) == repr(again)
    same = measure(tiny, given(lines(40)), steps=5)  # the synthetic table is train itself: tuned after it, alike
    assert same["bits_synthetic"].value == same["bits_real"].value


@tuned
def test_without_labels_only_texts_are_judged(tiny: str) -> None:
    m = measure(tiny, given(lines(40, 1), target=None), steps=5)
    assert math.isfinite(m["bits_gap"].value)
    assert m["bits_oversampled"].value == m["bits_real"].value
    assert "no target" in m["accuracy_real"].note


@tuned
def test_long_texts_are_cut_and_their_bytes_are_those_that_were_read(tiny: str) -> None:
    long = lines(40).with_columns(text=pl.col("text") + "ü" * 50)
    m = measure(tiny, given(long, holdout=long, train=long), steps=3, length=9)
    loss = m["bits_real"].detail["loss"]
    assert loss["value"] == pytest.approx(m["bits_real"].value * math.log(2), rel=0.15)


@tuned
def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="neither a known open model"):
        LmUtility("nothing-like-it").suits(lines(4), SCHEMA, "label")


def test_few_texts_or_none_are_unknown_without_loading_anything() -> None:
    few = LmUtility().measure(given(lines(40), holdout=lines(10)))
    none = LmUtility().measure(
        given(lines(40).drop("text"), schema=SCHEMA.select(["label"]), train=lines(40).drop("text"))
    )
    for found, why in ((few, "fewer than 20"), (none, "no column of text")):
        assert [m.name for m in found] == list(LmUtility.measures)
        assert all(math.isnan(m.value) and why in m.note for m in found)


@pytest.mark.skipif(HERE, reason="the extra `lm` is installed")
def test_without_the_extra_one_sentence_names_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'synthmill\[lm\]'"):
        LmUtility().suits(lines(4), SCHEMA, "label")
