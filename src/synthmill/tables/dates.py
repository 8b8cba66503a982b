"""Dates and times written as text: which way of writing fits every value of a column."""

from __future__ import annotations

import polars as pl

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%d-%b-%Y", "%d %B %Y")
_TIMES = ("%H:%M:%S%.f", "%H:%M")
FORMATS = (
    *_DAYS,
    *(f"{day}{gap}{time}" for day in _DAYS for gap in (" ", "T") for time in _TIMES),
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y%m%dT%H%M%S",
)
_SHAPE = r"^\s*(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ]\d{4}|\d{8}T\d{6})"
_SAMPLE = 1_000


def date_format(text: pl.Series) -> str | None:
    """The first format that reads every value of a text column, or None. Years have four digits."""
    values = text.drop_nulls()
    if not len(values) or not values.head(_SAMPLE).str.contains(_SHAPE).all():
        return None
    values = values.unique().sort()
    few = values.gather_every(max(1, len(values) // _SAMPLE))
    for fmt in FORMATS:
        if parse(few, fmt).null_count() == 0 and parse(values, fmt).null_count() == 0:
            return fmt
    return None


def twin(fmt: str) -> str | None:
    """The format with day and month exchanged, where a value can mean both."""
    swap = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%m-%d": "%d-%m", "%d-%m": "%m-%d"}
    return swap[fmt[:5]] + fmt[5:] if fmt[:5] in swap else None


def parse(text: pl.Series, fmt: str) -> pl.Series:
    """A Date, or a Datetime in microseconds (in UTC where the text says how far it is from it); null what does not fit."""
    text = text.str.strip_chars()
    if "%H" not in fmt:
        return text.str.to_date(fmt, strict=False)
    if fmt.endswith("z"):
        return text.str.to_datetime(fmt, time_unit="us", strict=False, time_zone="UTC")
    return text.str.to_datetime(fmt, time_unit="us", strict=False, time_zone="UTC" if fmt.endswith("Z") else None)


_STEPS = {"1d": 86_400_000_000, "1h": 3_600_000_000, "1m": 60_000_000, "1s": 1_000_000, "1ms": 1_000}


def granularity(stamps: pl.Series) -> str:
    """The coarsest of 1d, 1h, 1m, 1s, 1ms, 1us that every value is a whole multiple of."""
    if stamps.dtype == pl.Date:
        return "1d"
    micros = stamps.drop_nulls().dt.epoch("us")
    return next((name for name, step in _STEPS.items() if (micros % step == 0).all()), "1us")
