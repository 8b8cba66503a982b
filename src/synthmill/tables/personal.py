"""Personal data: found by what a column is called and by what its values look like, with checksums where they exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import polars as pl

FORMATS = (
    "name", "first_name", "last_name", "email", "phone", "address", "city", "postcode", "state", "country", "company",
    "username", "iban", "credit_card", "ssn", "ip", "url",
)  # fmt: skip
"""What personal data can be; each is made anew by `tabular.identity`."""
COMMON = ("first_name", "last_name", "city", "postcode", "state", "country", "company")
"""Parts that many people share: real ones are avoided, but one met by chance names nobody."""

_SAMPLE = 2_000
_MOSTLY, _RARE = 0.8, 0.5
"""Share of values that must look right; share of distinct values from which a common kind (a city) points at people."""
_FEW, _CROWD = 10, 10
"""So few names, each on so many rows, are no secret of one person's."""

_TITLES = {
    "first_name": r"first_?name|fname|given_?names?|forename|vorname|prenom",
    "last_name": r"last_?name|lname|surname|family_?name|nachname|maiden_?name",
    "name": r"(full|customer|client|patient|person|employee|contact|user|member|holder|owner|student|applicant|"
    r"cardholder|card_holder|passenger|guest|author|doctor|physician)_?(full_?)?name",
    "email": r"e_?mail(_?addr(ess)?)?",
    "phone": r"(tele)?phone(_?(no|num|number))?|tel|mobile|cell|fax|mobile_?(no|number)|telefon",
    "address": r"(street_?)?addr(ess)?(_?(line)?_?[12])?|street|strasse|billing_?address|home_?address|shipping_?address",
    "city": r"city|town|billing_?city",
    "postcode": r"zip(_?code)?|post(al)?_?code|plz|billing_?postal_?code",
    "state": r"state|province",
    "country": r"country",
    "company": r"company(_?name)?|employer|organi[sz]ation",
    "username": r"user_?name|login|user_?id_?name|screen_?name|handle|nick_?name",
    "iban": r"iban",
    "credit_card": r"(credit_?)?card_?(no|num|number)|cc_?(no|num|number)?|credit_?card|pan",
    "ssn": r"ssn|social_?security(_?(no|num|number))?|national_?id|tax_?id",
    "ip": r"ip(_?addr(ess)?)?|ipv[46]",
    "url": r"url|website|homepage|profile_?url",
}
_CALLED = r"(.*_)?(name|nm|fullname)s?"
_PARTS = {"first": "first_name", "last": "last_name", "names": "last_name", "name": "last_name"}
"""Titles that mean a part of a name only where most values are known as such a part."""
_SOMEBODY = (
    r"customer|client|patient|person|people|employee|contact|member|holder|owner|student|applicant|passenger|guest|author|"
    r"doctor|physician|nurse|teacher|agent|manager|salesperson|tenant|resident|citizen|donor|subject|participant|"
    r"who|assignee|assigned_to|(approved|created|handled|reported|reviewed|signed|sold)_by|"
    r"kunde|kundin|mitarbeiter(in)?|patientin|inhaber(in)?"
)
_EMAIL = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_PHONE = r"^\s*[+(]?\d[\d\s().+/x-]{5,}\d\s*$"
_PHONE_SURELY = r"^\s*(\+\d[\d\s().-]{6,}|\(\d{2,4}\)[\s\d-]{6,}|\d{3}[-. /]\s?\d{3}[-. ]\s?\d{4})(\s?x\d+)?\s*$"
_IBAN = r"^[A-Z]{2}\d{2}[ ]?[A-Z0-9 ]{11,36}$"
_CARD = r"^\d(?:[ -]?\d){11,18}$"
_SSN = r"^\d{3}-\d{2}-\d{4}$"
_IP = r"^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$|^[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){5,7}$"
_URL = r"^(https?://|www\.)\S+$"
_FULL_NAME = r"^\p{Lu}[\p{L}'’-]+,?( \p{Lu}\.?)? \p{Lu}[\p{L}'’-]+$"
_STREET = r"(?i)^\d+[a-z]?,? .*\b(st|street|ave?|avenue|rd|road|blvd|lane|ln|dr|drive|way|court|ct|square|sq|apt)\b|"
_ADDRESS = _STREET + r"(?i)(stra(ss|ß)e|str\.|weg|platz|allee) \d+|^\d+,? (rue|avenue|boulevard|place) "


def detect(name: str, values: pl.Series, rare: float = _RARE) -> str:
    """Which of FORMATS a column holds, or "" for none. values: integers or text.

    A city, postcode, company or user name is personal only where the share of distinct values exceeds `rare`: with few
    levels it is a category. What is checked or written like nothing else (e-mail, phone, account and card numbers) is personal
    however often it repeats; so are people's names where the title says that names stand there, but for a few that crowds
    share. States and countries are never found, only declared. Dates of birth are dates, not personal data: a table model coarsens nothing but copies nothing either.
    """
    text = values.drop_nulls().cast(pl.String)
    if not len(text):
        return ""
    sample = text.unique().sort()
    distinct = len(sample) / len(text)
    sample = sample.gather_every(max(1, len(sample) // _SAMPLE))
    title = _title(name)
    if values.dtype.is_integer():
        return _number(title, sample, distinct > rare)
    few = len(sample) <= _FEW and int(text.value_counts()["count"].min()) >= _CROWD  # type: ignore[arg-type]
    for found, right in _BY_VALUE.items():
        if right(sample) >= _MOSTLY:
            return found
    if title in ("first_name", "last_name", "name"):
        return title if _like(r"^[^\d@]+$", sample) >= _MOSTLY and len(sample) > 2 else ""
    if title == "phone":
        return title if _like(_PHONE, sample) >= _MOSTLY else ""
    if title == "address":
        return title if _like(r"\d.*\pL|\pL.*\d", sample) >= _RARE and distinct > 0.1 else ""
    if title == "ssn":
        return title if distinct > _RARE or _like(r"(\d.*){6}", sample) >= _MOSTLY else ""
    if title in ("city", "postcode", "company", "username"):
        return title if distinct > rare and len(sample) >= 5 else ""
    if title in ("state", "country", "ip", "url"):
        return ""
    if not few and _names_people(words(name), sample):
        return "name"
    part = _PARTS.get(words(name), "")
    if (
        part
        and not few
        and len(sample) > _FEW
        and _share(lambda v: v.strip().casefold() in _known(part), sample) >= _RARE
    ):
        return part
    if _like(_ADDRESS, sample) >= _MOSTLY and distinct > _RARE:
        return "address"
    unnamed = distinct > 0.2 and len(sample) >= 20
    return "name" if unnamed and _share(_person, sample) >= 0.6 else ""


def words(name: str) -> str:
    """A column's name in small letters and underscores: `CustomerNo` is `customer_no`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", parts).strip("_")


def _names_people(title: str, sample: pl.Series) -> bool:
    """The title may mean names of people, and the values look like them: an airport's name has no first name in it."""
    known = _share(_person, sample)
    if re.fullmatch(_SOMEBODY, title):
        return known >= _RARE or _like(_FULL_NAME, sample) >= _MOSTLY
    return re.fullmatch(_CALLED, title) is not None and (
        known >= _RARE or (known >= 0.2 and _like(_FULL_NAME, sample) >= _MOSTLY)
    )


def _title(name: str) -> str:
    """What the column's name says: `CustomerEmail`, `customer_email` and `email 2` are one thing."""
    title = words(name)
    for found, pattern in _TITLES.items():
        if re.fullmatch(rf"(.*_)?({pattern})s?(_?\d+)?", title):
            return found
    return ""


def _number(title: str, sample: pl.Series, rare: bool) -> str:
    if title == "phone":
        return title if _like(r"^\d{7,15}$", sample) >= _MOSTLY else ""
    if title == "ssn" and _like(r"^\d{8,12}$", sample) >= _MOSTLY:
        return title
    if not rare:
        return ""
    if title == "credit_card" and _share(luhn, sample) >= _MOSTLY:
        return "credit_card"
    if len(sample) >= 10 and sample.str.contains(r"^[2-6]\d{14,15}$").all() and _share(luhn, sample) >= 0.95:
        return "credit_card"
    return title if title in ("ssn", "postcode") else ""


def _like(pattern: str, sample: pl.Series) -> float:
    return float(sample.str.contains(pattern).sum()) / len(sample)


def _share(right: Callable[[str], bool], sample: pl.Series) -> float:
    return sum(map(right, sample)) / len(sample)


def _checked(pattern: str, right: Callable[[str], bool]) -> Callable[[pl.Series], float]:
    return lambda sample: 0.0 if _like(pattern, sample) < _MOSTLY else _share(right, sample)


def luhn(text: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(c) for c in text if c.isdigit()]
    return sum(digits[-1::-2]) % 10 == -sum(sum(divmod(2 * d, 10)) for d in digits[-2::-2]) % 10 and len(digits) > 11


def iban(text: str) -> bool:
    """The check digits of account numbers (ISO 13616: the rearranged number is 1 modulo 97)."""
    plain = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_BY_VALUE: dict[str, Callable[[pl.Series], float]] = {
    "email": lambda s: _like(_EMAIL, s),
    "iban": _checked(_IBAN, iban),
    "credit_card": _checked(_CARD, luhn),
    "ssn": lambda s: _like(_SSN, s),
    "ip": lambda s: _like(_IP, s),
    "url": lambda s: _like(_URL, s),
    "phone": lambda s: _like(_PHONE_SURELY, s),
}

_NAME_LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL", "pl_PL", "en_IN", "sv_SE")


@cache
def _known(part: str) -> frozenset[str]:
    """First or last names in small letters, from Faker's lists."""
    import importlib

    names: set[str] = set()
    for locale in _NAME_LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        names.update(n.casefold() for n in getattr(provider, f"{part}s"))
    return frozenset(names)


def _person(text: str) -> bool:
    """Two to five capitalised words without digits, one of them a known first name (Faker's lists)."""
    words = re.split(r"[\s,.]+", text.strip(" ."))
    if not 2 <= len(words) <= 5 or any(c.isdigit() for c in text):
        return False
    return all(w[:1].isupper() for w in words if len(w) > 3) and any(
        w.casefold() in _known("first_name") for w in words
    )
