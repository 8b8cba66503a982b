"""What names a person or thing, made anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from synthmill.frame import Keys, digest, row_keys, seed_of
from synthmill.plugins import Request
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.tables.patterns import BLOCK, number, write
from synthmill.tables.personal import COMMON

from ._people import People, Words

_ROUNDS = 50
_OTHERS = {
    "doctor", "physician", "nurse", "spouse", "partner", "husband", "wife", "parent", "mother", "father", "child",
    "guardian", "emergency", "manager", "supervisor", "agent", "seller", "sender", "recipient", "receiver", "referrer",
}  # fmt: skip


@dataclass
class Identity:
    """New identifiers and personal data, written as the real ones are and made up, one consistent person a row.

    Completes `request.given`, or makes n rows of its own. Identifiers are unique across all requests of a run: every
    request numbers its rows from blocks of its own, and numbers become codes by a keyed bijection (tables/patterns).
    Identifiers and what names one person (name, e-mail, phone, address, account...) never equal a value of train;
    common parts (first or last name alone, city, postcode, state, country, company) may, where too few others exist.
    A column `sex` or `gender` in `given` decides first names; e-mail and user name follow the name, city and postcode
    one another; a doctor's or spouse's columns are another person's. States and countries of `given` are not matched. The share of missing values is kept.

    `fit` needs the identifier and personal columns in train. What it saves holds keyed hashes of real values
    together with their key, and stays private.
    """

    locale: str = "en_US"
    completes: ClassVar[bool] = True
    private_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._columns = Schema(())
        self._styles: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, Keys] = {}
        self._key = 0
        self._people: People | None = None

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        self._columns = schema.select(schema.of("identifier", "personal"))
        for name in self._columns.names:
            if name not in train.columns:
                raise Refusal(f"tabular.identity: fit needs column '{name}' of train: what is not seen may be copied")
        self._key = seed_of("identity", digest(row_keys(train.select(self._columns.names)).sum().item()))
        self._styles = {c.name: _style(train[c.name]) for c in self._columns}
        self._seen = {n: np.unique(self._hash(n, train[n].drop_nulls())) for n in self._columns.names}
        if pair := self._pair():
            self._seen["first and last"] = np.unique(self._hash_pair(train.select(pair).drop_nulls()))
        self._meet()

    def schema(self) -> dict[str, pl.DataType]:
        return self._columns.dtypes()

    def generate(self, request: Request) -> pl.DataFrame:
        given = request.given
        n = request.n if given is None else given.height
        made = [self._identifiers(c, request.k, n) for c in self._columns if c.kind == "identifier"]
        made += self._persons(request, n, _female(given))
        made = [self._with_gaps(s, request) for s in made]
        if given is None:
            return pl.DataFrame(made, schema=self.schema()).select(self._columns.names)
        return given.with_columns(made)

    def save(self, folder: Path) -> None:
        state = {"columns": self._columns.to_json(), "styles": self._styles, "key": str(self._key)}
        (folder / "identity.json").write_text(json.dumps(state), "utf-8")
        names = list(self._seen)
        np.savez(folder / "identity.npz", names=np.array(names, str), **{str(i): self._seen[n] for i, n in enumerate(names)})  # type: ignore[arg-type]  # fmt: skip

    def load(self, folder: Path) -> None:
        state = json.loads((folder / "identity.json").read_text("utf-8"))
        self._columns, self._styles = Schema.from_json(state["columns"]), state["styles"]
        self._key = int(state["key"])
        with np.load(folder / "identity.npz", allow_pickle=False) as stored:
            self._seen = {str(n): stored[str(i)] for i, n in enumerate(stored["names"])}
        self._meet()

    def _meet(self) -> None:
        if self._columns.of("personal"):
            self._people = People(self.locale, self._key, self._unseen)

    def _hash(self, name: str, s: pl.Series) -> Keys:
        return row_keys(pl.DataFrame({name: s}), self._key)

    def _hash_pair(self, frame: pl.DataFrame) -> Keys:
        return row_keys(frame.rename(dict(zip(frame.columns, ("first", "last"), strict=True))), self._key)

    def _pair(self) -> list[str]:
        """First and last name in two columns name a person only together."""
        found = [next((c.name for c in self._columns if c.format == f), None) for f in ("first_name", "last_name")]
        return [f for f in found if f] if all(found) else []

    def _unseen(self, form: str, values: list[str]) -> list[str]:
        """Without the real values of that format, as far as enough others are left."""
        free = np.ones(len(values), bool)
        for c in self._columns:
            if c.kind == "personal" and c.format == form:
                free &= ~_met(self._hash(c.name, self._written(c, np.array(values, object))), self._seen[c.name])
        left = [v for v, keep in zip(values, free, strict=True) if keep]
        return left if len(left) >= 50 else values

    def _identifiers(self, c: Column, k: int, n: int) -> pl.Series:
        made = pl.Series(c.name, [], dtype=c.polars)
        chunk = 0
        while len(made) < n:
            start = number(k, chunk * BLOCK)
            end = start + BLOCK
            while start < end and len(made) < n:
                stop = min(end, start + n - len(made))
                made.append(self._fresh(c, range(start, stop)))
                start = stop
            chunk += 1
        return made.rechunk()

    def _fresh(self, c: Column, numbers: range) -> pl.Series:
        """The codes of those numbers that no real record bears."""
        codes = write(c.format, self._styles[c.name]["width"], numbers, seed_of(self._key, c.name))
        if self._styles[c.name]["case"] == "upper":
            codes = _CASES["upper"](codes)
        try:
            typed = codes.alias(c.name).cast(c.polars)
        except pl.exceptions.PolarsError:
            raise Refusal(
                f"tabular.identity: column '{c.name}': more identifiers are needed than {c.dtype} holds"
            ) from None
        return typed.filter(pl.Series(~_met(self._hash(c.name, typed), self._seen[c.name])))

    def _persons(self, request: Request, n: int, female: NDArray[np.bool_] | None) -> list[pl.Series]:
        columns = [c for c in self._columns if c.kind == "personal"]
        if not columns:
            return []
        numbers = np.array([number(request.k, i) for i in range(n)], np.int64)
        made: dict[str, Words] = {c.name: np.empty(n, object) for c in columns}
        rows = np.arange(n)
        for turn in range(_ROUNDS):
            sex = None if female is None else female[rows]
            fresh = self._draw(columns, len(rows), request.rng("people", turn), numbers[rows].tolist(), sex)
            for name, values in fresh.items():
                made[name][rows] = values
            frame = pl.DataFrame([self._written(c, made[c.name][rows]) for c in columns])
            rows = rows[self._real(frame)]
            if not len(rows):
                return [self._written(c, made[c.name]) for c in columns]
        raise ValueError(
            f"{len(rows)} of {n} made-up people equal a real one however often they are drawn; another locale?"
        )

    def _draw(self, columns: list[Column], n: int, rng: np.random.Generator, numbers: list[int],
              female: NDArray[np.bool_] | None) -> dict[str, Words]:  # fmt: skip
        """Columns of one person are drawn together. A column of another role (a doctor's name), or a second one of the
        same kind, belongs to somebody else."""
        assert self._people is not None
        owners: dict[tuple[str, int], list[Column]] = {}
        for at, c in enumerate(columns):
            same = [o for o in columns[:at] if o.format == c.format and _role(o.name) == _role(c.name)]
            owners.setdefault((_role(c.name), len(same)), []).append(c)
        out = {}
        for owner, mine in owners.items():
            forms = [c.format for c in mine]
            sex = female if owner == ("", 0) else None
            person = self._people.draw(n, rng, forms, numbers, sex)
            for c in mine:
                out[c.name] = person[c.format]
                if c.format == "address" and "city" not in forms:
                    out[c.name] = out[c.name] + ", " + person["city"] + " " + person["postcode"]
        return out

    def _real(self, frame: pl.DataFrame) -> NDArray[np.bool_]:
        """Rows with a value that names one real person."""
        bad = np.zeros(frame.height, bool)
        for c in self._columns:
            if c.kind == "personal" and c.format not in COMMON:
                bad |= _met(self._hash(c.name, frame[c.name]), self._seen[c.name])
        if pair := self._pair():
            bad |= _met(self._hash_pair(frame.select(pair)), self._seen["first and last"])
        return bad

    def _written(self, c: Column, values: Words) -> pl.Series:
        """The values in the column's type and manner."""
        style = self._styles[c.name]
        text = pl.Series(c.name, values.tolist(), dtype=pl.String)
        if c.format == "name" and style["comma"]:
            text = text.str.replace(r"^(\S+) (.+)$", "$2, $1")
        if style["case"]:
            text = _CASES[style["case"]](text)
        if c.polars.is_numeric():
            text = text.str.replace_all(r"x.*$|\D", "").str.slice(0, 18).str.replace(r"^$", "0")
        return text.cast(c.polars)

    def _with_gaps(self, s: pl.Series, request: Request) -> pl.Series:
        share = self._columns[s.name].missing
        return s.set(pl.Series(request.rng("missing", s.name).random(len(s)) < share), None) if share else s


def _met(keys: Keys, seen: Keys) -> NDArray[np.bool_]:
    """Which keys are among the sorted `seen`: (n,)."""
    if not len(seen):
        return np.zeros(len(keys), bool)
    found: NDArray[np.bool_] = seen[np.minimum(np.searchsorted(seen, keys), len(seen) - 1)] == keys
    return found


def _role(name: str) -> str:
    """Whose data a column holds, if its name says that it is not the row's own person."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return next((w for w in words if w in _OTHERS), "")


_CASES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "upper": lambda s: s.str.to_uppercase(),
    "lower": lambda s: s.str.to_lowercase(),
}


def _style(s: pl.Series) -> dict[str, Any]:
    text = s.drop_nulls().cast(pl.Int64 if s.dtype.is_float() else s.dtype).cast(pl.String)
    if not len(text):
        return {"case": "", "comma": False, "width": 8}
    words = text.filter(text.str.contains(r"\pL"))
    case = next((c for c, same in _CASES.items() if len(words) and (same(words) == words).all()), "")
    comma = float(text.str.contains(r"^[^,]+, [^,]+$").sum()) > 0.5 * len(text)
    return {"case": case, "comma": comma, "width": int(text.str.len_chars().to_numpy().max())}


def _female(given: pl.DataFrame | None) -> NDArray[np.bool_] | None:
    """What a column of sexes says, where every value of it can be told."""
    if given is None or not given.height:
        return None
    for name in given.columns:
        if name.lower() in ("sex", "gender") and given[name].dtype == pl.String:
            first = given[name].str.strip_chars().str.to_lowercase().str.slice(0, 1)
            if first.is_in(["f", "w", "m"]).all():
                return first.is_in(["f", "w"]).to_numpy()
    return None
