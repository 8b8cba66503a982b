"""Numbers and addresses in running text that name a person or open an account, by pattern, check digit and context."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import checksums

_REACH = 40
"""Characters before a number, and half as many after it, in which a word tells what the number is."""


@dataclass(frozen=True)
class Finding:
    """text[start:end] is an `entity`."""

    entity: str
    start: int
    end: int


@dataclass(frozen=True)
class _Kind:
    """pattern: candidates. valid: of a candidate as written. context: words one of which must stand near it."""

    entity: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda _: True
    context: re.Pattern[str] | None = None


def find(text: str, entities: Sequence[str] = (), reserved: bool = False) -> list[Finding]:
    """What of `entities` (default: all) stands in the text, in order of place; none overlaps another.

    reserved: whether what is set aside for examples counts too: example.com, 555-0100, 192.0.2.1 and private addresses,
    card numbers that payment processors publish for tests.
    """
    taken: list[Finding] = []
    for kind in _KINDS:
        if entities and kind.entity not in entities:
            continue
        for start, end in _candidates(kind, text):
            if any(start < f.end and f.start < end for f in taken):
                continue
            taken.append(Finding(kind.entity, start, end))
    kept = [f for f in taken if reserved or not _is_reserved(f.entity, text[f.start : f.end])]
    return sorted(kept, key=lambda f: f.start)


def _candidates(kind: _Kind, text: str) -> Iterator[tuple[int, int]]:
    if kind.entity == "IBAN_CODE":
        yield from _ibans(text)
        return
    for match in kind.pattern.finditer(text):
        start, end = match.span("it") if "it" in kind.pattern.groupindex else match.span()
        if not kind.valid(text[start:end]):
            continue
        near = text[max(0, start - _REACH) : start] + " | " + text[end : end + _REACH // 2]
        if kind.context is None or kind.context.search(near):
            yield start, end


_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """As many characters as the country's numbers have, single blanks and dashes aside, so that no next word is taken."""
    for match in _IBAN_START.finditer(text):
        wanted = checksums.iban_length(match[0][:2])
        at, held = match.start(), 0
        while wanted and at < len(text) and held < wanted:
            c = text[at]
            if c.isascii() and c.isalnum():
                held += 1
            elif c not in " -" or not text[at - 1].isalnum():
                break
            at += 1
        whole = held == wanted and not text[at : at + 1].isalnum()
        if whole and checksums.iban(text[match.start() : at]):
            yield match.start(), at


def _no_section(text: str) -> bool:
    """Four small numbers are a section or a version more often than an address."""
    return max(map(int, text.split("."))) > 30


def _v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    groups = [g for g in text.split(":") if g]  # a slice such as [1::2] reads as an address too
    return len(groups) > 3 or (len(groups) == 3 and max(map(len, groups)) > 2)


def _phone(text: str) -> bool:
    """7 to 15 digits (E.164), not one over and over, and no date, year span or decimal number."""
    bare = re.sub(r"(?i)\s*(?:x|ext\.?)\s*\d+$", "", text)
    d = checksums.digits(bare)
    if not 7 <= len(d) <= 15 or len(set(d)) < 3 or checksums.card(bare) or re.search(r"\b00\D00\b", bare):
        return False
    return not re.fullmatch(
        r"\d{3}-\d\d-\d{4}|\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}|[12]\d{3} ?[-–] ?[12]\d{3}|\d{1,3}(?:[ .]000)+",
        bare,
    )


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<![a-z_])(?:{'|'.join(words)})(?![a-z_])")


_CALLED = _words(
    "phones?", "telephones?", "tel", "mobiles?", "cells?", "cellphones?", "call", "called", "calling", "fax", "whatsapp", "sms",
    "text me", "dial", "ring", "hotline", "line", "contact", "reach", "numbers? (?:is|are)", "telefon", "téléphone", "teléfono",
    "handy", "móvil", "office", "answer(?:s|ed|ing)? at", "messages? to",
)  # fmt: skip
_CARD = _words("cards?", "cc", "visa", "mastercard", "amex", "maestro", "american express")
_D = r"(?<![\w.,/-])"
_END = r"(?![\w/]|[.,-]\d)"
_EXTENSION = r"(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?"
_PHONES = (
    rf"(?<![\w+])\+\d{{1,3}}(?:[ .-]?\(?\d{{1,5}}\)?){{2,6}}{_EXTENSION}{_END}",
    rf"{_D}00[1-9]\d{{0,2}}(?:[ .-]\(?\d{{2,5}}\)?){{2,5}}{_EXTENSION}{_END}",
    rf"{_D}(?:1[ .-])?(?:\(\d{{3}}\)[ ]?|\d{{3}}[ .-])\d{{3}}[ .-]\d{{4}}{_EXTENSION}{_END}",
    rf"(?<![\w.,/-])\(0?\d{{1,5}}\)[ ]?\d{{2,4}}(?:[ -]\d{{2,4}}){{1,3}}{_EXTENSION}{_END}",
    rf"{_D}0\d{{1,4}}(?:[ -]\d{{2,4}}){{2,4}}{_END}",
)
_LOOSE = rf"{_D}\(?\d{{2,5}}\)?(?:[ .-]?\d{{2,5}}){{1,5}}{_EXTENSION}{_END}(?!\s*[=<])"

_V4 = r"(?<![\w.])(?<!version )(?<!Version )(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\w|\.[\d*])"
_HOST = _words(
    "ip(?:v4)?s?",
    "address(?:es)?",
    "hosts?",
    "servers?",
    "dns",
    "ping",
    "subnet",
    "gateway",
    "ssh",
    "router",
    "resolver",
)

_KINDS = (
    _Kind(
        "SECRET",
        re.compile(
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[opsur]_[A-Za-z0-9]{36,255}\b"
            r"|\bxox[abeoprs]-[0-9A-Za-z-]{10,200}|\bAIza[0-9A-Za-z_-]{35}\b|\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{32,200}"
            r"|\bglpat-[0-9A-Za-z_-]{20}\b|\bhf_[A-Za-z]{34}\b|\bsk_live_[0-9A-Za-z]{24,99}\b"
        ),
    ),
    _Kind(
        "EMAIL_ADDRESS",
        re.compile(
            r"(?<![\w.+-])[\w.%+'-]{1,64}(?:@|\s?[\[(]\s?at\s?[\])]\s?)(?:[^\W_](?:[\w-]{0,61})(?:\.|\s?[\[(]\s?dot\s?[\])]\s?)){1,8}"
            r"[^\W\d_]{2,24}(?![\w-])", re.IGNORECASE,
        ),
    ),
    _Kind("IBAN_CODE", _IBAN_START),
    _Kind("CREDIT_CARD", re.compile(rf"{_D}\d(?:[ -]?\d){{11,18}}{_END}"), checksums.card),
    _Kind("CREDIT_CARD", re.compile(rf"{_D}\d(?:[ -]?\d){{11,18}}{_END}"), checksums.luhn, _CARD),
    _Kind("CRYPTO", re.compile(r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b"), checksums.bitcoin),
    _Kind("MAC_ADDRESS", re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?P<s>[:-])(?:[0-9A-Fa-f]{2}(?P=s)){4}[0-9A-Fa-f]{2}(?![\w:-])")),
    _Kind("IP_ADDRESS", re.compile(_V4), _no_section),
    _Kind("IP_ADDRESS", re.compile(_V4), context=_HOST),
    _Kind("IP_ADDRESS", re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), _v6),
    _Kind("IT_FISCAL_CODE", re.compile(r"\b[A-Za-z]{6}\w{2}[A-Za-z]\w{2}[A-Za-z]\w{3}[A-Za-z]\b"), checksums.fiscal_code),
    _Kind("FR_NIR", re.compile(rf"{_D}[12] ?\d{{2}} ?\d{{2}} ?\d[\dABab] ?\d{{3}} ?\d{{3}} ?\d{{2}}{_END}"), checksums.nir),
    _Kind("BR_CPF", re.compile(rf"{_D}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_END}"), checksums.cpf),
    _Kind("ES_NIF", re.compile(rf"{_D}(?:\d{{8}}|\d{{2}}\.\d{{3}}\.\d{{3}}|[XYZxyz][- ]?\d{{7}})[- ]?[A-Za-z]\b"), checksums.nif),
    _Kind("IN_AADHAAR", re.compile(rf"{_D}(?<!\d[ -])[2-9]\d{{3}}([ -])\d{{4}}\1\d{{4}}(?![ -]\d){_END}"), checksums.aadhaar),
    _Kind("US_ITIN", re.compile(rf"{_D}9\d{{2}}([ -])\d{{2}}\1\d{{4}}{_END}"), checksums.itin),
    _Kind("US_SSN", re.compile(rf"{_D}\d{{3}}([ -])\d{{2}}\1\d{{4}}{_END}"), checksums.ssn),
    _Kind("US_SSN", re.compile(rf"{_D}\d{{9}}{_END}"), checksums.ssn, _words("ssn", "social security(?: number)?")),
    _Kind("UK_NHS", re.compile(rf"{_D}\d{{3}}[ -]?\d{{3}}[ -]?\d{{4}}{_END}"), checksums.nhs, _words("nhs", "national health service")),
    _Kind("PL_PESEL", re.compile(rf"{_D}\d{{11}}{_END}"), checksums.pesel, _words("pesel")),
    _Kind("NL_BSN", re.compile(rf"{_D}\d{{9}}{_END}"), checksums.bsn, _words("bsn", "burgerservicenummer", "sofinummer")),
    _Kind(
        "US_DRIVER_LICENSE", re.compile(r"(?<![\w-])(?=[\w-]*\d{4})[A-Za-z]{0,2}\d[\d-]{3,14}[A-Za-z]?(?![\w-])"),
        context=_words("driver[’']?s?[’']? licen[cs]e", "driving licen[cs]e"),
    ),
    _Kind("PASSPORT", re.compile(r"(?<![\w-])(?=\w*\d{5})[A-Z]{0,2}\d{6,9}(?![\w-])"), context=_words("passport")),
    *(_Kind("PHONE_NUMBER", re.compile(p), _phone) for p in _PHONES),
    _Kind("PHONE_NUMBER", re.compile(_LOOSE), _phone, _CALLED),
)  # fmt: skip
"""In order: a stretch that one kind has taken is no other's."""

ENTITIES = tuple(dict.fromkeys(k.entity for k in _KINDS))

_EXAMPLE_HOSTS = re.compile(r"(?i)(?:@|\.)(?:example\.(?:com|org|net|edu)|[^.]*\.?(?:test|example|invalid|localhost))$")
_TEST_CARDS = {
    "4111111111111111", "4242424242424242", "4012888888881881", "4000056655665556", "5555555555554444", "5105105105105100",
    "5200828282828210", "2223003122003222", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424",
    "3056930009020004", "36227206271667", "3566002020360505", "30569309025904", "38520000023237", "3530111333300000",
    "6200000000000005", "4222222222222",
}  # fmt: skip


def _is_reserved(entity: str, value: str) -> bool:
    plain = "".join(map(str, checksums.digits(value)))
    match entity:
        case "EMAIL_ADDRESS":
            return bool(_EXAMPLE_HOSTS.search(value))
        case "CREDIT_CARD":
            return plain in _TEST_CARDS
        case "PHONE_NUMBER":
            return bool(re.fullmatch(r"1?[2-9]\d\d55501\d\d", plain)) or bool(re.fullmatch(r"55501\d\d", plain))
        case "US_SSN":
            return plain in ("078051120", "219099999", "123456789")
        case "IP_ADDRESS":
            return not ipaddress.ip_address(value).is_global
        case "IBAN_CODE":
            return re.sub(r"[ -]", "", value).upper() in (
                "GB82WEST12345698765432",
                "DE89370400440532013000",
                "GB33BUKB20201555555555",
            )
    return False
