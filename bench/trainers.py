"""Runs in TRL's own environment: each exported file is loaded by `datasets` and trained on for two steps by TRL's trainers.

`python bench/trainers.py FOLDER`: FOLDER holds files named `<format>.<jsonl|parquet>`. The model is a tiny one with random
weights and a tokenizer made of the words in the files, so that nothing is fetched. Prints a line of JSON for each file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {{ m['content'] or '' }} "
    "{% for c in m.get('tool_calls') or [] %}{{ c['function']['name'] }} {{ c['function']['arguments'] }} {% endfor %}"
    "<|im_end|> {% endfor %}{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)


def tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = sorted({w for t in texts for w in t.split()} | {"user", "assistant", "system", "tool", "human", "gpt"})
    special = ["<unk>", "<pad>", "<|im_start|>", "<|im_end|>"]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*special, *words])}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="<|im_end|>")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.chat_template = TEMPLATE
    return made


def said(value: Any) -> Iterator[str]:
    """Every text in nested data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from said(inner)


def model(words: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    )


def alpaca(row: dict[str, Any]) -> str:
    """TRL has no form of its own for Alpaca: the text is put together by whoever trains."""
    given = f"\n\n{row['input']}" if row["input"] else ""
    return f"{row['instruction']}{given}\n\n{row['output']}"


def trained(path: Path, out: Path) -> dict[str, Any]:
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    kind = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    data = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(out / "cache"))
    words = tokenizer(list(said(list(data))))
    name = path.stem.removesuffix("-chat").removesuffix("-tools")
    shared = {
        "output_dir": str(out), "max_steps": 2, "per_device_train_batch_size": 2, "report_to": [], "use_cpu": True,
        "bf16": False, "save_strategy": "no", "disable_tqdm": True, "logging_steps": 1,
    }  # fmt: skip
    if name == "preference":
        two = (model(len(words)), model(len(words)))  # the second is the reference, which would be fetched by its name
        trainer = DPOTrainer(*two, args=DPOConfig(**shared), train_dataset=data, processing_class=words)
    else:
        how = {"formatting_func": alpaca} if name == "alpaca" else {}
        trainer = SFTTrainer(
            model(len(words)), args=SFTConfig(**shared), train_dataset=data, processing_class=words, **how
        )
    prepared = trainer.train_dataset
    first = next(iter(prepared))
    loss = trainer.train().training_loss
    return {
        "file": path.name, "columns": data.column_names, "trainer": type(trainer).__name__, "rows": len(prepared),
        "loss": round(loss, 3), "prepared": words.decode(first["input_ids"]) if "input_ids" in first else "",
    }  # fmt: skip


def main() -> None:
    for path in sorted(Path(sys.argv[1]).iterdir()):
        with tempfile.TemporaryDirectory() as out:
            try:
                told = trained(path, Path(out))
            except Exception as e:
                told = {"file": path.name, "error": f"{type(e).__name__}: {e}"[:600]}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
