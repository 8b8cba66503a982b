"""Made-up people and places: pools of Faker's values, from which the parts of one person are drawn together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthmill.generate._locale import faker_of

_POOL = 2_000
_DOMAINS = ("example.com", "example.org", "example.net")
"""Reserved for examples (RFC 2606): no made-up address can reach a real person."""

Words = NDArray[np.object_]


class People:
    """`draw` makes n people as columns of text, one per format of personal data.

    Faker makes some 30,000 values a second, so parts come from pools of 2,000 and are combined; phone, account, card
    and social security numbers get fresh digits in the written form of a pool's value.
    """

    def __init__(self, locale: str, seed: int, without: Callable[[str, list[str]], list[str]]) -> None:
        """without(format, values): the values that no real record holds."""
        self.fake = faker_of(locale, "tabular.identity")
        self.seed, self.without = seed, without
        self._pools: dict[str, list[Any]] = {}

    def draw(self, n: int, rng: np.random.Generator, wanted: Iterable[str], numbers: Sequence[int],
             female: NDArray[np.bool_] | None) -> dict[str, Words]:  # fmt: skip
        """numbers: one per row, different in every row of a run: it keeps e-mail addresses apart."""
        women = rng.random(n) < 0.5 if female is None else female
        first = np.where(women, self._pick("female", n, rng), self._pick("male", n, rng))
        last = self._pick("last_name", n, rng)
        made: dict[str, Words] = {"first_name": first, "last_name": last}
        need = set(wanted)
        made["name"] = first + " " + last
        if need & {"email", "username", "url"}:
            made |= _online(first, last, numbers, rng)
        if need & {"address", "city", "postcode", "state"}:
            made |= self._places(n, rng)
        for name in need & set(_DIGITS):
            made[name] = _renumbered(self._pick(name, n, rng), rng, _DIGITS[name])
        for name in need - set(made):
            made[name] = self._pick(name, n, rng)
        return made

    def _places(self, n: int, rng: np.random.Generator) -> dict[str, Words]:
        towns = self._pick("place", n, rng)
        city, state, postcode = (_words(t[i] for t in towns) for i in range(3))
        streets = _renumbered(self._pick("street", n, rng), rng, lambda text, digits: _fresh(text, digits[:3]))
        return {"address": streets, "city": city, "state": state, "postcode": postcode}

    def _pick(self, name: str, n: int, rng: np.random.Generator) -> Words:
        if name not in self._pools:
            self._pools[name] = self._pool(name)
        pool = _words(self._pools[name])
        return pool[rng.integers(len(pool), size=n)]

    def _pool(self, name: str) -> list[Any]:
        self.fake.seed_instance(self.seed)
        made = list(dict.fromkeys(self._one(name) for _ in range(_POOL)))
        if name == "place":
            free = set(self.without("city", [t[0] for t in made])) if made else set()
            return [t for t in made if t[0] in free]
        label = "first_name" if name in ("female", "male") else name
        return self.without(label, made)

    def _one(self, name: str) -> Any:
        if name in ("female", "male"):
            return self._first(f"first_name_{name}", "first_name")
        if name == "street":
            return self._first("street_address", "address").replace("\n", ", ")
        if name == "place":
            state = self._first("state_abbr", "state", "administrative_unit", "region", "city")
            return self.fake.city(), state, self._postcode(state)
        if name == "ip":
            return self.fake.ipv4_private()
        return {
            "phone": self.fake.phone_number, "credit_card": lambda: self.fake.credit_card_number("visa16"), "company": self.fake.company,
            "country": self.fake.country, "iban": self.fake.iban, "ssn": lambda: "900-00-0000", "last_name": self.fake.last_name,
        }[name]()  # fmt: skip

    def _first(self, *providers: str) -> str:
        """The first of several providers that this locale has."""
        return str(next(getattr(self.fake, p) for p in providers if hasattr(self.fake, p))())

    def _postcode(self, state: str) -> str:
        try:
            return str(self.fake.postcode_in_state(state))
        except Exception:  # most locales do not know which postcodes a state has
            return str(self.fake.postcode())


def _words(values: Iterable[Any]) -> Words:
    items = list(values)
    out = np.empty(len(items), object)
    out[:] = items
    return out


def _online(first: Words, last: Words, numbers: Sequence[int], rng: np.random.Generator) -> dict[str, Words]:
    at = rng.integers(len(_DOMAINS), size=len(numbers)).tolist()
    plain = {w: _ascii(w) for w in {*first, *last}}
    rows = list(zip(first, last, numbers, at, strict=True))
    return {
        "email": _words(f"{plain[a]}.{plain[b]}{i}@{_DOMAINS[d]}" for a, b, i, d in rows),
        "username": _words(f"{plain[a][:1]}{plain[b]}{i}" for a, b, i, _ in rows),
        "url": _words(f"https://www.{_DOMAINS[d]}/{plain[a]}.{plain[b]}{i}" for a, b, i, d in rows),
    }


def _ascii(word: str) -> str:
    folded = unicodedata.normalize("NFKD", word.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z]", "", folded) or "person"


_Renumber = Callable[[str, list[int]], str]


def _renumbered(texts: Words, rng: np.random.Generator, how: _Renumber) -> Words:
    digits = rng.integers(10, size=(len(texts), 12)).tolist()
    return _words(how(text, d) for text, d in zip(texts, digits, strict=True))


def _fresh(text: str, digits: list[int]) -> str:
    """The text with its last digits exchanged for these."""
    out = list(text)
    places = [i for i, c in enumerate(text) if c.isdigit()][-len(digits) :]
    for i, digit in zip(places, digits, strict=False):
        out[i] = str(digit)
    return "".join(out)


def _account(text: str, digits: list[int]) -> str:
    """ISO 13616: the two check digits make the rearranged number 1 modulo 97."""
    bban = _fresh(text[4:], digits[:8])
    rest = int("".join(str(int(c, 36)) for c in bban + text[:2] + "00")) % 97
    return f"{text[:2]}{98 - rest:02d}{bban}"


def _card(text: str, digits: list[int]) -> str:
    """ISO/IEC 7812-1: the last digit makes the sum of all, every second one doubled, a multiple of ten."""
    body = text[:6] + _fresh(text[6:-1], digits)
    known = [int(c) for c in body]
    total = sum(sum(divmod(2 * d, 10)) for d in known[::-2]) + sum(known[-2::-2])
    return f"{body}{-total % 10}"


_DIGITS: dict[str, _Renumber] = {
    "phone": lambda text, digits: _fresh(text, digits[:6]),
    "ssn": lambda text, digits: _fresh(text, digits[:8]),  # none that starts with 9 is ever issued
    "ip": lambda text, digits: ".".join([text.rpartition(".")[0], str(1 + (digits[0] * 25 + digits[1] * 2) % 254)]),
    "iban": _account,
    "credit_card": _card,
}
