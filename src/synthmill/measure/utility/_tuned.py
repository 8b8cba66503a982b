"""A causal language model tuned by LoRA on a set of records, and what it makes of held-out ones. The only code that knows torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthmill.llm.known import locate
from synthmill.plugins import beside
from synthmill.refusal import MissingExtra
from synthmill.tables.encode import Floats, Ints

_WARMUP = 0.1
_CLIP = 1.0


@dataclass(frozen=True)
class Setting:
    """steps: of the optimizer, `batch` records each; length: tokens of a record's text; rate: the highest; rank: of LoRA."""

    steps: int
    batch: int
    length: int
    rate: float
    rank: int


@dataclass(frozen=True)
class Judged:
    """Of n held-out records. nats: of the text; tokens, size: how many tokens and bytes these are of. right: whether the
    likeliest label is the record's; None without labels."""

    nats: Floats
    tokens: Floats
    size: Floats
    right: Floats | None


@dataclass(frozen=True)
class _Sequence:
    """ids: begin, text, cue, label, end. text and label: where they stand."""

    ids: list[int]
    text: range
    label: range


def needed() -> None:
    """Raises MissingExtra where what tunes models, and reads GGUF files, is not installed."""
    import importlib.util

    for name in ("torch", "transformers", "peft", "gguf"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtra("tuning a language model", name, "lm")


def source(model: str) -> tuple[Path, str | None]:
    """(folder, GGUF file in it or None) of a folder of weights, a GGUF file or a known open model; nothing is downloaded.
    Raises Refusal for what is not here."""
    folder = beside(Path(model))
    if folder.is_dir():
        return folder, None
    path = locate(str(folder) if folder.is_file() else model)
    return path.parent, path.name


class Tuner:
    """One base model in memory, tuned anew for each set. cue: what stands between text and label.

    The device is a GPU where torch sees one (in bfloat16), else the CPU (float32, all cores). Equal calls give equal numbers
    on the same machine.
    """

    def __init__(self, model: str, setting: Setting, cue: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        folder, gguf = source(model)
        self.setting, self.cue, self.torch = setting, cue, torch
        gpu = torch.cuda.is_available()
        self.device = torch.device("cuda" if gpu else "cpu")
        if not gpu:
            torch.set_num_threads(os.cpu_count() or 1)  # an earlier evaluation may have left it at one
        more: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
        self.tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True, **more)
        self.base = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=torch.bfloat16 if gpu else torch.float32, **more
        ).to(self.device)
        end = self.tokens.eos_token_id
        begin = self.tokens.bos_token_id
        self.end: int = 0 if end is None else int(end)
        self.begin: int = self.end if begin is None else int(begin)

    def judged(
        self,
        learned: Sequence[tuple[str, str | None]] | None,
        held: Sequence[tuple[str, str | None]],
        labels: Sequence[str],
        seed: int,
    ) -> Judged:
        """Tuned on (text, label) records, or as it is (None), and shown the held-out ones."""
        with self.torch.random.fork_rng():
            self.torch.manual_seed(seed)
            if learned is None or not learned:
                return self._shown(self.base, held, labels)
            return self._tuned(learned, held, labels, seed)

    def _tuned(self, learned: Any, held: Any, labels: Sequence[str], seed: int) -> Judged:
        from peft import LoraConfig, get_peft_model

        s = self.setting
        config = LoraConfig(r=s.rank, lora_alpha=2 * s.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(self.base, config)
        try:
            self._train(model, [self._sequence(*record) for record in learned], seed)
            return self._shown(model, held, labels)
        finally:
            self.base = model.unload()

    def _sequence(self, text: str, label: str | None) -> _Sequence:
        ids = [self.begin, *self._ids(text)[: self.setting.length]]
        spoken = range(1, len(ids))
        if label is None:
            return _Sequence([*ids, self.end], spoken, range(0))
        ids += self._ids(self.cue)
        first = len(ids)
        ids += [*self._ids(f" {label}"), self.end]
        return _Sequence(ids, spoken, range(first, len(ids)))

    def _ids(self, text: str) -> list[int]:
        return [int(i) for i in self.tokens(text, add_special_tokens=False)["input_ids"]]

    def _train(self, model: Any, sequences: Sequence[_Sequence], seed: int) -> None:
        torch, s = self.torch, self.setting
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=s.rate, weight_decay=0.0)
        warm = max(1, round(_WARMUP * s.steps))
        model.train()
        for step, batch in enumerate(_batches(len(sequences), s.batch, s.steps, seed)):
            rate = min((step + 1) / warm, (s.steps - step) / max(1, s.steps - warm))
            for group in optimizer.param_groups:
                group["lr"] = s.rate * min(1.0, rate)
            ids, mask = self._padded([sequences[i] for i in batch])
            loss = self._nats(model, ids, mask).sum() / mask[:, 1:].sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
            optimizer.step()

    def _shown(self, model: Any, held: Any, labels: Sequence[str]) -> Judged:
        """Each record is read once with every label in its place; the text's part is the same in all of them."""
        model.eval()
        asked = labels if len(labels) > 1 else (None,)
        sequences = [self._sequence(text, label) for text, _ in held for label in asked]
        text, label = np.zeros(len(sequences)), np.zeros(len(sequences))
        order = np.argsort([len(q.ids) for q in sequences], kind="stable")
        with self.torch.inference_mode():
            for at in np.array_split(order, math.ceil(len(order) / (2 * self.setting.batch))):
                ids, mask = self._padded([sequences[i] for i in at])
                nats = self._nats(model, ids, mask).double().cpu().numpy()
                for row, i in zip(nats, at, strict=True):
                    q = sequences[i]
                    text[i] = row[q.text.start - 1 : q.text.stop - 1].sum()
                    label[i] = row[q.label.start - 1 : q.label.stop - 1].sum() if q.label else 0.0
        firsts = sequences[:: len(asked)]
        tokens = np.array([len(q.text) for q in firsts], np.float64)
        size = np.array([self._bytes(q, record[0]) for q, record in zip(firsts, held, strict=True)], np.float64)
        right = None
        if len(labels) > 1:
            said = label.reshape(len(held), len(labels)).argmin(axis=1)
            right = np.array([labels[j] == y for j, (_, y) in zip(said, held, strict=True)], np.float64)
        return Judged(text.reshape(len(held), -1)[:, 0], tokens, size, right)

    def _bytes(self, q: _Sequence, text: str) -> int:
        """Of the text that was read: all of it, unless it was cut."""
        if len(q.text) < self.setting.length:
            return len(text.encode())
        return len(self.tokens.decode([q.ids[i] for i in q.text]).encode())

    def _padded(self, sequences: Sequence[_Sequence]) -> tuple[Any, Any]:
        width = max(len(q.ids) for q in sequences)
        ids = self.torch.full((len(sequences), width), self.end)
        mask = self.torch.zeros((len(sequences), width), dtype=self.torch.long)
        for i, q in enumerate(sequences):
            ids[i, : len(q.ids)] = self.torch.tensor(q.ids)
            mask[i, : len(q.ids)] = 1
        return ids.to(self.device), mask.to(self.device)

    def _nats(self, model: Any, ids: Any, mask: Any) -> Any:
        """(b, t - 1) negative log-likelihood of every token but the first; 0 where nothing is."""
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        lost = self.torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        return lost * mask[:, 1:]


def _batches(n: int, batch: int, steps: int, seed: int) -> Iterator[Ints]:
    """`steps` batches out of n records: every one comes up once before any comes up again."""
    rng = np.random.default_rng(seed)
    left = np.zeros(0, np.int64)
    for _ in range(steps):
        while len(left) < batch:
            left = np.concatenate([left, rng.permutation(n)])
        yield left[:batch]
        left = left[batch:]
