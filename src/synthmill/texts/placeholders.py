"""What a template or a model leaves in a text that was meant to be filled in or not to be said."""

from __future__ import annotations

import re

_BLANK = (
    r"insert|enter|add|fill in|specify|provide|choose|select|replace|put|type|write|your|name|date|address|company|recipient|"
    r"sender|title|city|number|amount|todo|tbd|placeholder|link|url|email|phone|signature|position|hiring manager|"
    r"first name|last name|full name"
)
_LEFT = (
    re.compile(rf"\[\s*(?:{_BLANK})(?:['’]s)?(?:[ _][^\]\[\n]{{0,60}})?\s*\](?!\()", re.IGNORECASE),
    re.compile(r"\{\{\s*[\w. |'\"-]{1,60}\s*\}\}|\{%[^%]{1,80}%\}|\$\{[A-Za-z_]\w{0,40}\}"),
    re.compile(r"<\s*(?:insert|enter|your|fill in|placeholder)\b[^<>\n]{0,60}>", re.IGNORECASE),
    re.compile(r"(?i:\blorem ipsum\b)|\bTODO:|\bFIXME:|\bTBD\b|\bX{4,}\b|_{5,}"),
    re.compile(
        r"\bas an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?,|\bI(?: am|['’]m) (?:just )?an? (?:AI|large) "
        r"language model|\bas a (?:large )?language model, I\b|\bmy (?:knowledge|training) cut-?off\b|"
        r"<\|(?:im_start|im_end|endoftext|eot_id|assistant|user|system)\|>|\[/?INST\]",
        re.IGNORECASE,
    ),
)


def placeholder(text: str) -> str | None:
    """The first stretch of the text that is one, None if there is none. Footnotes `[1]`, links `[name](...)`, JSON braces
    and comparisons `a < b` are none."""
    found = [m for pattern in _LEFT if (m := pattern.search(text))]
    return min(found, key=lambda m: m.start())[0] if found else None
