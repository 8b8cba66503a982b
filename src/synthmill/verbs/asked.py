"""The questions and answers that a record was made of, as long as the journal has them."""

from __future__ import annotations

from typing import Any

import polars as pl

from synthmill.llm.journal import Journal, journal_path
from synthmill.refusal import Refusal
from synthmill.run import Run


def asked(run: Run, k: int, i: int) -> dict[str, Any]:
    """`parents` and `answers` of a record, where its generator told of them; else nothing. For rejected ones too."""
    told = _told(run, k, i)
    if told is None:
        return {}
    addresses, parents = told
    found = _kept(run, addresses)
    story: dict[str, Any] = {"parents": parents} if parents else {}
    if addresses:
        story["answers"] = [found.get(a, {"address": a, "answer": "no longer in the journal"}) for a in addresses]
    return story


def _told(run: Run, k: int, i: int) -> tuple[list[str], list[str]] | None:
    mine = pl.col("_k") == k, pl.col("_i") == i
    for table in (run.rows(), run.rejected(), run.private_rejected()):
        if "_asked" not in table.columns:
            return None
        hit = table.filter(mine)
        if hit.height:
            row = hit.row(0, named=True)
            own = run.parents().filter(mine)["_parents"].to_list()
            return row["_asked"] or [], sorted([*(row["_parents"] or []), *(p for of in own for p in of)])
    return None


def _kept(run: Run, addresses: list[str]) -> dict[str, dict[str, Any]]:
    path = journal_path(run.root.parent)
    if not addresses or not path.is_file():
        return {}
    try:
        journal = Journal(path)
        answers, questions = journal.find(addresses), journal.questions(addresses)
        journal.close()
    except Refusal as e:
        return {a: {"address": a, "answer": str(e)} for a in addresses}
    return {
        a: {
            "address": a,
            "model": questions[a]["model"],
            "parameters": questions[a]["parameters"],
            "messages": questions[a]["messages"],
            "answer": answers[a].text or answers[a].error,
            "tokens": [answers[a].prompt_tokens, answers[a].completion_tokens],
        }
        for a in addresses
        if a in answers and a in questions
    }
