"""Tables in databases: SQLite needs nothing, DuckDB, ADBC and SQLAlchemy come with the `sql` extra."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from synthmill.refusal import MissingExtra, Refusal, choices


def read_sqlite(path: Path, table: str | None) -> pl.DataFrame:
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with connection:
            names = connection.execute("select name from sqlite_master where type in ('table', 'view') order by name")
            chosen = _choose(str(path), table, [n for (n,) in names if not n.startswith("sqlite_")])
            cursor = connection.execute(f"select * from {_quoted(chosen)}")
            columns = [d[0] for d in cursor.description]
            rows = cursor.fetchall()
        connection.close()
    except sqlite3.DatabaseError as e:
        raise Refusal(f"{path}: not a readable SQLite database: {e}") from None
    # SQLite types values, not columns
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pl.DataFrame([_column(name, v) for name, v in zip(columns, values, strict=True)])


def read_duckdb(path: Path, table: str | None) -> pl.DataFrame:
    _need("duckdb", "reading DuckDB")
    _need("pyarrow", "reading DuckDB")
    import duckdb

    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            names = [r[0] for r in connection.execute("show tables").fetchall()]
            query = f"select * from {_quoted(_choose(str(path), table, names))}"
            frame = pl.DataFrame(connection.sql(query).to_arrow_table())
    except duckdb.Error as e:
        raise Refusal(f"{path}: not a readable DuckDB database: {str(e).splitlines()[0]}") from None
    return frame


def read_url(url: str, table: str | None) -> pl.DataFrame:
    """A table behind a database URL, by its ADBC driver where one is installed, else by SQLAlchemy (`scheme+driver`: always)."""
    shown = re.sub(r"//[^@/]*@", "//...@", url)
    scheme = url.split("://", 1)[0]
    _need("pyarrow", f"reading {scheme}")
    try:
        if "+" not in scheme and importlib.util.find_spec(f"adbc_driver_{scheme}"):
            return _by_adbc(url, scheme, table, shown)
        return _by_sqlalchemy(url, table, shown)
    except Refusal:
        raise
    except Exception as e:  # every driver has errors of its own
        raise Refusal(f"{shown}: {type(e).__name__}: {str(e).splitlines()[0].replace(url, shown)}") from None


def _by_adbc(url: str, scheme: str, table: str | None, shown: str) -> pl.DataFrame:
    driver: Any = importlib.import_module(f"adbc_driver_{scheme}.dbapi")
    with driver.connect(url.split("://", 1)[1].removeprefix("/") if scheme == "sqlite" else url) as connection:
        objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        schemas = [s for catalog in objects for s in catalog["catalog_db_schemas"] or []]
        names = [t["table_name"] for s in schemas for t in s["db_schema_tables"] or []]
        query = f"select * from {_quoted(_choose(shown, table, sorted(names)))}"
        return pl.read_database(query, connection)


def _by_sqlalchemy(url: str, table: str | None, shown: str) -> pl.DataFrame:
    _need("sqlalchemy", "reading a database URL")
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    try:
        inspector = sqlalchemy.inspect(engine)
        chosen = _choose(shown, table, sorted([*inspector.get_table_names(), *inspector.get_view_names()]))
        query = f"select * from {engine.dialect.identifier_preparer.quote(chosen)}"
        return pl.read_database(query, engine, infer_schema_length=None)
    finally:
        engine.dispose()


def _choose(source: str, table: str | None, names: Sequence[str]) -> str:
    if table is None and len(names) == 1:
        return names[0]
    if table is None:
        raise Refusal(f"{source}: holds {len(names)} tables; say which: real.table. {choices('', names)}")
    if table not in names:
        raise Refusal(f"{source}: there is no table '{table}'; {choices(table, names)}")
    return table


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _need(package: str, what: str) -> None:
    if not importlib.util.find_spec(package):
        raise MissingExtra(what, package, "sql")


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {int}:
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if kinds == {bytes}:
        return pl.Series(name, values, dtype=pl.Binary)
    return pl.Series(
        name, [None if v is None else v if isinstance(v, str) else str(v) for v in values], dtype=pl.String
    )
