"""An answer that only says the question again is none: "Who did they declare for?" "They declared for him." """

import re

FEW = 4
"""Letters of a word that carries meaning; the rest are mostly articles and prepositions, and count where there is nothing else. Numbers always count."""


def says_something(row: dict) -> tuple[bool, str]:
    """Whether at least a third of the answer's words are not the question's, compared by their first five letters."""
    asked, said = words(row["question"]), words(row["answer"])
    new = said - asked
    return len(new) * 3 >= len(said) > 0, f"{len(new)} of {len(said)} words of the answer are not the question's"


def words(text: str) -> set[str]:
    found = re.findall(r"\w+", text.lower())
    return {w[:5] for w in found if len(w) >= FEW or w.isdigit()} or set(found)
