"""Rules: conditions every record must meet, in SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from synthmill.frame import Status
from synthmill.plugins import Verdicts
from synthmill.refusal import Refusal, choices
from synthmill.schema import Schema

_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_FORBIDDEN = re.compile(r"\b(select|over|current_date|current_time|current_timestamp|now)\b", re.IGNORECASE)
_AGGREGATE = re.compile(
    r"\b(avg|corr|count|covar_pop|covar_samp|covar|first|last|max|mean|median|min|quantile_cont|quantile_disc|"
    r"stddev|stdev|sum|variance|var)\s*\(",
    re.IGNORECASE,
)
_ISO = re.compile(r"'(\d{4}-\d\d-\d\d)([ T]\d\d[^']*)?'")
_WHY = {"select": "is a subquery", "over": "looks at other rows"}

_COMPARISONS = {"Eq", "EqValidity", "Gt", "GtEq", "Lt", "LtEq", "NotEq", "NotEqValidity"}
_WRITTEN = {
    "Date": "a date is written DATE '2010-01-31', its year is EXTRACT(YEAR FROM ...)",
    "Datetime": "a time is written TIMESTAMP '2010-01-31 12:00:00', its year is EXTRACT(YEAR FROM ...)",
    "Duration": "a span of time is written INTERVAL '5 days'",
    "Time": "a time of day is written TIME '12:00:00'",
}
_NODES = {"Alias", "BinaryExpr", "Cast", "Column", "Eval", "Function", "Literal", "Ternary"}
_FAMILIES = {
    "ListExpr",
    "ArrayExpr",
    "StructExpr",
    "StringExpr",
    "TemporalExpr",
    "Pow",
    "Trigonometry",
    "Bitwise",
    "Sql",
}
_FUNCTIONS = {
    "Abs", "Atan2", "Ceil", "Coalesce", "Exp", "FillNull", "Floor", "Log", "Log1p", "MaxHorizontal", "MinHorizontal",
    "Negate", "Round", "Sign",
    "AllHorizontal", "AnyHorizontal", "IsBetween", "IsFinite", "IsIn", "IsInfinite", "IsNan", "IsNotNan", "IsNotNull",
    "IsNull", "Not",
}  # fmt: skip
_ACROSS_ROWS = {"ConcatVertical"}  # the one member of the families above that is not elementwise
_LEAST = 0.001
_Rule = tuple[str, pl.Expr]


@dataclass
class Rules:
    """Conditions in SQL that every record must meet, such as `age >= 17`.

    all: the conditions. Column names that are not plain words take double quotes, texts single quotes.
    nulls: a condition that comes out null passes, as in SQL's CHECK, or fails.
    each: a nested column whose every row must meet the conditions; they may name its fields and the outer columns
    (a list of plain values goes by the column's own name).
    The text is parsed by Polars' SQL, never run as Python, and must be elementwise: aggregates, windows, subqueries
    and the clock are refused. A row on which a condition cannot be computed (a cast fails) is an error, alone.
    With real data, conditions that fewer than 1 in 1000 real rows meet are refused as contradictory.
    """

    all: Annotated[list[str], Field(min_length=1)]
    each: str | None = None
    nulls: Literal["pass", "fail"] = "pass"

    def __post_init__(self) -> None:
        self._rules = [(text, _parse(text)) for text in self.all]
        self._probed = False

    def expect(self, columns: Mapping[str, pl.DataType]) -> None:
        """The columns candidates will have. Raises Refusal where a condition names another or does not suit it."""
        self._probe(pl.DataFrame(schema=dict(columns)), self._rules)

    def fit(self, train: pl.DataFrame, schema: Schema) -> None:
        """Raises Refusal where a condition cannot be computed on train, or hardly any real row meets them.
        Conditions on columns that only the generator adds say nothing about train."""
        if self.each is not None and self.each not in train.columns:
            return
        known = {*train.columns, *_fields(train.schema.get(self.each or ""))}
        rules = [(text, e) for text, e in self._rules if known.issuperset(e.meta.root_names())]
        if rules and train.height:
            self._probe(train, rules)
            self._contradictions(self._outcomes(train, rules))

    def judge(self, frame: pl.DataFrame) -> Verdicts:
        if not self._probed:
            self._probe(frame, self._rules)
            self._probed = True
        return self._verdicts(frame.height, self._outcomes(frame, self._rules))

    def examples(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"age": [17, 90, None]}), pl.DataFrame({"age": [16, -1]})

    example_config = {"all": ["age >= 17"]}

    def _outcomes(self, frame: pl.DataFrame, rules: list[_Rule]) -> list[_Outcome]:
        if self.each is None:
            return [_evaluate(text, e, frame, self.nulls) for text, e in rules]
        items = _items(frame, self.each, self._names())
        owner = items["_owner"].to_numpy()
        return [_evaluate(text, e, items, self.nulls).of_owner(owner, frame.height, self.each) for text, e in rules]

    def _verdicts(self, n: int, outcomes: list[_Outcome]) -> Verdicts:
        status = np.zeros(n, np.uint8)
        which = np.full(n, -1)
        for i, outcome in enumerate(outcomes):
            first = (status == 0) & (outcome.status != 0)
            status[first], which[first] = outcome.status[first], i
        bad = np.flatnonzero(status)
        reasons = [outcomes[which[r]].reason(int(r)) for r in bad]
        reason = pl.Series([None], dtype=pl.String).new_from_index(0, n).scatter(bad, reasons) if len(bad) else None
        return Verdicts(pl.Series(status), None, reason)

    def _contradictions(self, outcomes: list[_Outcome]) -> None:
        passed = np.ones(len(outcomes[0].status), bool)
        for outcome in outcomes:
            alone = outcome.status == 0
            before, passed = passed, passed & alone
            if passed.mean() < _LEAST:
                with_others = "" if alone.mean() < _LEAST else " together with the rules before it"
                raise Refusal(
                    f"rule `{outcome.text}` is met by {int(passed.sum()):,} of {len(passed):,} real rows{with_others}; "
                    f"{int(before.sum()):,} met the others"
                )

    def _names(self) -> list[str]:
        return sorted({name for _, e in self._rules for name in e.meta.root_names()})

    def _probe(self, frame: pl.DataFrame, rules: list[_Rule]) -> None:
        """Names and types are wrong for every row or for none: say so before any row is judged."""
        sample = frame.head(32)
        if self.each is not None:
            if self.each not in frame.columns:
                raise Refusal(f"rules: each: no column '{self.each}'; {choices(self.each, frame.columns)}")
            if not isinstance(frame.schema[self.each], pl.List | pl.Array):
                raise Refusal(f"rules: each: column '{self.each}' is {frame.schema[self.each]}, not a list")
            sample = _items(sample, self.each, self._names())
        known = [c for c in sample.columns if c != "_owner"]
        for text, e in rules:
            _check_names(text, e, known)
            _check_type(text, e, sample)
            _check_elementwise(text, e, sample)


@dataclass
class _Outcome:
    """One rule over the rows: status (n,), messages of the rows in error, and the nested row to blame."""

    text: str
    status: NDArray[np.uint8]
    errors: dict[int, str]
    where: dict[int, str]

    def reason(self, row: int) -> str:
        at = self.where.get(row, "")
        return f"{at}{self.text}: {self.errors[row]}" if row in self.errors else f"{at}{self.text}"

    def of_owner(self, owner: NDArray[np.int64], n: int, column: str) -> _Outcome:
        """The first nested row that does not pass decides."""
        starts = np.searchsorted(owner, np.arange(n))
        out = _Outcome(self.text, np.zeros(n, np.uint8), {}, {})
        bad = np.flatnonzero(self.status)
        rows, first = np.unique(owner[bad], return_index=True)
        out.status[rows] = self.status[bad[first]]
        for row, item in zip(rows.tolist(), bad[first].tolist(), strict=True):
            out.where[row] = f"{column}[{item - starts[row]}]: "
            if item in self.errors:
                out.errors[row] = self.errors[item]
        return out


def _evaluate(text: str, e: pl.Expr, frame: pl.DataFrame, nulls: str) -> _Outcome:
    """Whole frame at once; where that raises, halves of it until the rows to blame stand alone."""
    status = np.zeros(frame.height, np.uint8)
    errors: dict[int, str] = {}
    spans = [(0, frame.height)] if frame.height else []
    while spans:
        start, stop = spans.pop()
        try:
            met = frame[start:stop].select(e.alias("met"))["met"]
        except _POLARS as error:
            if stop - start == 1:
                status[start], errors[start] = Status.ERROR, _brief(error)
            else:
                middle = (start + stop) // 2
                spans += [(start, middle), (middle, stop)]
            continue
        status[start:stop] = (~met.fill_null(nulls == "pass")).to_numpy()
    return _Outcome(text, status, errors, {})


def _items(frame: pl.DataFrame, each: str, names: list[str]) -> pl.DataFrame:
    """The nested rows in order, `_owner` telling whose they are, with the outer columns that the rules name."""
    values = frame.get_column(each)
    values = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    lengths = values.list.len().fill_null(0).to_numpy().astype(np.int64)
    owner = np.repeat(np.arange(frame.height), lengths)
    items = values.filter(pl.Series(lengths > 0)).list.explode().alias(each)
    inner = items.struct.unnest() if isinstance(items.dtype, pl.Struct) else items.to_frame()
    outer = [frame[c].gather(owner) for c in names if c in frame.columns and c not in inner.columns]
    return inner.with_columns(*outer, _owner=pl.Series(owner))


def _fields(dtype: pl.DataType | None) -> list[str]:
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    return [f.name for f in inner.fields] if isinstance(inner, pl.Struct) else []


def _parse(text: str) -> pl.Expr:
    """Raises Refusal: not SQL, or not a question about one row alone."""
    bare = _QUOTED.sub(" ", text)
    if found := _FORBIDDEN.search(bare):
        word = found.group(1).lower()
        raise Refusal(
            f"rule `{text}`: {word.upper()} {_WHY.get(word, 'depends on the clock')}; a rule sees one row alone"
        )
    try:
        e = pl.sql_expr(text)
        tree = json.loads(e.meta.serialize(format="json"))
    except _POLARS as error:
        raise Refusal(f"rule `{text}` is not a condition in SQL: {_brief(error)}") from None
    if across := _across_rows(tree):
        if written := _AGGREGATE.search(bare):  # Polars takes SUM(x) apart: name what the user wrote
            across = written.group(1).upper()
        raise Refusal(f"rule `{text}`: {across} looks at other rows; a rule sees one row alone")
    if not e.meta.root_names():
        raise Refusal(f"rule `{text}` names no column")
    return e


def _across_rows(node: Any) -> str | None:
    """The first part of an expression that is not known to be elementwise."""
    kind, body = _node(node)
    if kind not in _NODES:
        inner = next(iter(body)) if kind == "Agg" and isinstance(body, dict) else kind
        return str(inner).upper()
    if kind == "Function":
        family = body["function"]
        name = family
        if isinstance(family, dict):
            family, name = next(iter(family.items()))
            name = next(iter(name)) if isinstance(name, dict) else name
        allowed = family in _FAMILIES or family in _FUNCTIONS or (family == "Boolean" and name in _FUNCTIONS)
        if not allowed or name in _ACROSS_ROWS:
            return str(name if family == "Boolean" else family).upper()
    return next((found for part in _inputs(kind, body) if (found := _across_rows(part))), None)


def _node(tree: Any) -> tuple[str, Any]:
    """The kind of an expression's outermost part, and what it is made of."""
    return next(iter(tree.items())) if isinstance(tree, dict) else (str(tree), {})


def _inputs(kind: str, body: Any) -> list[Any]:
    match kind:
        case "BinaryExpr":
            return [body["left"], body["right"]]
        case "Cast" | "Eval":  # what Eval evaluates stays inside one row's list
            return [body["expr"]]
        case "Ternary":
            return [body["predicate"], body["truthy"], body["falsy"]]
        case "Function":
            return list(body["input"])
        case "Alias":
            return [body[0]]
    return []


def _check_names(text: str, e: pl.Expr, known: list[str]) -> None:
    for name in e.meta.root_names():
        if name in known:
            continue
        unquoted = [c for c in known if not c.isidentifier() and c in _QUOTED.sub(" ", text)]
        if unquoted:
            raise Refusal(f"rule `{text}`: no column '{name}'; write \"{unquoted[0]}\" in double quotes")
        text_meant = f'"{name}"' in text and name.casefold() not in map(str.casefold, known)
        quoted = f" (a text takes single quotes: '{name}')" if text_meant else ""
        raise Refusal(f"rule `{text}`: no column '{name}'{quoted}; {choices(name, known)}")


def _check_type(text: str, e: pl.Expr, sample: pl.DataFrame) -> None:
    try:
        dtype = sample.lazy().select(e.alias("met")).collect_schema()["met"]
        sample.clear().select(e)
    except _POLARS as error:
        roots = dict.fromkeys(e.meta.root_names())
        types = ", ".join(f"{n} is {sample.schema[n]}" for n in roots)
        if any(sample.schema[n].is_temporal() for n in roots) and "'" in text and "date" in str(error).lower():
            raise Refusal(f"rule `{text}`: {types}; {_date_hint(text)}") from None
        raise Refusal(f"rule `{text}` cannot be computed where {types}: {_brief(error)}") from None
    if dtype not in (pl.Boolean, pl.Null):
        raise Refusal(f"rule `{text}` is not a condition: it gives {dtype}, not true or false")
    _check_dates(text, e, sample)


def _check_dates(text: str, e: pl.Expr, sample: pl.DataFrame) -> None:
    """Polars compares a date with a number by the days or microseconds it is stored as, which nobody means."""
    parts = e.meta.pop()
    kind, body = _node(json.loads(e.meta.serialize(format="json")))
    if kind == "Ternary" or (kind == "BinaryExpr" and body["op"] in _COMPARISONS):
        types = [_type_of(part, sample) for part in parts]
        dated = next((t for t in types if t is not None and t.is_temporal()), None)
        if dated is not None and any(t is not None and t.is_numeric() for t in types):
            what = "mixes" if kind == "Ternary" else "compares"
            said = str(dated.base_type())
            raise Refusal(f"rule `{text}` {what} {said} with a number; {_WRITTEN[said]}")
    for part in parts:
        _check_dates(text, part, sample)


def _type_of(e: pl.Expr, sample: pl.DataFrame) -> pl.DataType | None:
    """None where a part means nothing alone, such as an element within a list."""
    try:
        return sample.lazy().select(e.alias("part")).collect_schema()["part"]
    except _POLARS:
        return None


def _date_hint(text: str) -> str:
    written = _ISO.search(text)
    if not written:
        return "a date is written DATE '2010-01-31', a time TIMESTAMP '2010-01-31 12:00:00'"
    return f"write {'TIMESTAMP' if written.group(2) else 'DATE'} {written.group()}"


def _check_elementwise(text: str, e: pl.Expr, sample: pl.DataFrame) -> None:
    """The proof by trial behind the reading of the tree: a row's answer may not depend on its company."""
    try:
        together = sample.select(e.alias("met"))["met"]
        backwards = sample.reverse().select(e.alias("met"))["met"].reverse()
        alone = [sample[i : i + 1].select(e.alias("met"))["met"] for i in range(sample.height)]
    except _POLARS:
        return  # a row that errors says nothing; whether it does is for judge
    if not together.equals(backwards) or not (len(alone) == 0 or together.equals(pl.concat(alone))):
        raise Refusal(f"rule `{text}` looks at other rows; a rule sees one row alone")


def _brief(error: BaseException) -> str:
    line = str(error).strip().split("\n")[0]
    return line if len(line) <= 200 else line[:197] + "..."
