"""Where a finished run's records came from: what `trace` shows, what it writes under private/, and when it cannot tell."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.cells import Bin, understood, written
from synthmill.cli.main import main
from synthmill.refusal import Refusal
from synthmill.run import Run
from synthmill.verbs.contributions import contributions

REGION = {"Aachen": "West", "Bonn": "West", "Celle": "North", "Dresden": "East"}


def orders(n: int = 700) -> pl.DataFrame:
    """Two rows of each customer; towns decide regions, nothing ships before it is ordered, and every row has a serial."""
    rng = np.random.default_rng(11)
    town = rng.choice(list(REGION), n)
    ordered = pl.Series(rng.integers(0, 300, n))
    job = np.where(rng.random(n) < 0.4, "clerk", rng.choice(["cook", "vet"], n))
    return pl.DataFrame(
        {
            "customer": [f"C{i // 2:05d}" for i in range(n)],
            "town": town,
            "region": [REGION[t] for t in town],
            "ordered": pl.date(2024, 1, 1) if n == 0 else pl.select(pl.date(2024, 1, 1) + pl.duration(days=ordered)).to_series(),
            "shipped": pl.select(pl.date(2024, 1, 1) + pl.duration(days=ordered + pl.Series(rng.integers(0, 20, n)))).to_series(),
            "job": job,
            "pay": np.round(rng.lognormal(7, 0.4, n), 2),
        }
    )  # fmt: skip


def spec(path: Path, **changes: Any) -> synthmill.Spec:
    return synthmill.Spec.model_validate(
        {
            "name": "orders",
            "real": {"path": str(path), "entity": "customer"},
            "cover": {"axes": {"job": ["clerk", "vet"], "pay": {"quantiles": 2}}, "quota": 16},
            "generate": "tabular.forest",
            "constraints": [{"combinations": ["town", "region"]}, {"inequality": ["ordered", "shipped"]}],
            "filter": ["duplicates", "copies"],
            "fill": {"size": 10},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a forest and a bootstrap that share the requests, with rules that reject a part of both."""
    folder = tmp_path_factory.mktemp("origins")
    orders().write_parquet(folder / "orders.parquet")
    mixed = [{"mix": [{"use": "tabular.forest", "leaf": 5, "share": 2}, {"use": "tabular.bootstrap"}]}]
    rules = [{"use": "rules", "all": ["pay < 2500"]}]
    synthmill.make(spec(folder / "orders.parquet", generate=mixed, verify=rules, filter=["duplicates"]), folder / "run")
    return folder


def train_of(folder: Path) -> pl.DataFrame:
    from synthmill.prepare import prepared_from

    real = prepared_from(folder / "run" / "spec.yaml").real
    assert real is not None
    return real.train


def test_every_value_is_traced_to_the_row_that_gave_it(place: Path) -> None:
    run, train = Run.open(place / "run"), train_of(place)
    members = dict(run.requests().select("k", "member").iter_rows())
    seen = Counter[int]()
    for record in run.data().iter_rows(named=True):
        member = members[int(record["_id"].split("-")[1])]
        if seen[member] >= 6:
            continue
        seen[member] += 1
        story = synthmill.trace(run.root, record["_id"], private=True)
        told = json.loads((run.root / story["origin"]["private"]).read_text())
        sources = {c: {v["drawn"]: train.row(v["row"], named=True) for v in vs} for c, vs in told["values"].items()}
        assert list(sources) == ["town", "region", "ordered", "shipped", "job", "pay"]
        for column in ("town", "job"):
            assert sources[column][column][column] == record[column]
        assert record["region"] == REGION[sources["region"]["town"]["town"]]
        assert set(sources["shipped"]) == {"ordered", "shipped - ordered"}
        gap = sources["shipped"]["shipped - ordered"]
        apart = (record["shipped"] - record["ordered"]).days - (gap["shipped"] - gap["ordered"]).days
        assert abs(apart) <= (0 if member else 3)  # the forest draws within a block of neighbours
        if member:
            assert len({v["row"] for vs in told["values"].values() for v in vs}) == 1
            assert record["pay"] == sources["pay"]["pay"]["pay"]
        else:
            assert {v["fold"] for v in told["values"]["town"]} < set(range(5))
            assert told["world"] == story["origin"]["world"]
    assert seen == {0: 6, 1: 6}


def test_what_is_shown_names_nobody(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.open(place / "run")
    forest = run.rows().join(run.requests().filter(member=0), left_on="_k", right_on="k", maintain_order="left")
    few = 0
    for k, i in forest.select("_k", "_i").head(15).iter_rows():
        story = synthmill.trace(run.root, f"{run.id}-{k}-{i}")
        origin = story["origin"]
        assert origin["customer"] == "from no real record"
        assert not {"row", "_id"} & {key for v in origin.values() if isinstance(v, dict) for key in v}
        counts = [origin[c]["donors"] for c in ("town", "job", "pay")]
        assert all(n == "fewer than 10" or n >= 10 for n in counts)
        few += counts.count("fewer than 10")
    assert few
    assert main(["trace", str(run.root), f"{run.id}-{k}-{i}"]) == 0
    shown = capsys.readouterr().out
    assert (
        f"  town: fold {origin['town']['fold']}, leaf {origin['town']['leaf']}, donors {origin['town']['donors']}"
        in shown
    )
    assert "  shipped: ordered: fold" in shown


def test_rejected_records_are_traced_too(place: Path) -> None:
    run = Run.open(place / "run")
    k, i = run.rejected().filter(pl.col("_check") > 0).select("_k", "_i").row(0)
    assert "town" in synthmill.trace(run.root, f"{run.id}-{k}-{i}")["origin"]


def test_contributions_are_the_sum_of_all_traces(place: Path) -> None:
    """Against a count by hand: each value of a record counts alike, a computed one half for each of its two draws."""
    run, train = Run.open(place / "run"), train_of(place)
    found = contributions(run.root)
    table = pl.read_parquet(found.file)
    assert found.records == found.accepted == 64
    share: dict[int, float] = {}
    most: dict[str, float] = {}
    ids = run.data()["_id"].to_list()
    person = train["customer"].to_list()
    for record in ids:
        file = run.root / synthmill.trace(run.root, record, private=True)["origin"]["private"]
        mine = Counter[str]()
        for values in json.loads(file.read_text())["values"].values():
            for v in values:
                share[v["row"]] = share.get(v["row"], 0) + 1 / len(values) / 6 / len(ids)
                mine[person[v["row"]]] += 1 / len(values) / 6  # type: ignore[assignment]
        most |= {p: max(s, most.get(p, 0)) for p, s in mine.items()}
    assert abs(table["share"].sum() - 1) < 1e-9
    assert table["row"].to_list() == sorted(share)
    assert np.allclose(table["share"], [share[r] for r in table["row"]])
    assert table["entity"].equals(train["customer"].gather(table["row"]), check_names=False)
    assert np.allclose(table["entity_most"], [most[p] for p in table["entity"]])
    assert np.isclose(found.most, 1.0)  # the bootstrap copies whole rows
    assert (table["most"] <= table["entity_most"] + 1e-12).all()
    assert found.givers == table["entity"].n_unique()
    assert table["_id"].n_unique() == table.height


def test_the_forests_own_contributions_are_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders().write_parquet(tmp_path / "orders.parquet")
    synthmill.make(spec(tmp_path / "orders.parquet", real={"path": str(tmp_path / "orders.parquet")}), tmp_path / "run")
    assert main(["trace", str(tmp_path / "run"), "--contributions"]) == 0
    said = capsys.readouterr().out
    assert "real records gave to 64 records: one gave at most" in said
    table = pl.read_parquet(tmp_path / "run" / "private" / "contributions.parquet")
    assert table.columns == ["row", "_id", "share", "most"]
    assert table["most"].max() < 0.6  # seven columns, of which five are drawn and one decides another
    synthmill.extend(tmp_path / "run", 5)
    assert not (tmp_path / "run" / "private" / "contributions.parquet").exists()
    assert main(["trace", str(tmp_path / "run"), "--contributions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 84


def test_a_table_in_python_names_its_people_where_it_is_given_again(tmp_path: Path) -> None:
    table = orders()
    need = spec(tmp_path / "none", real={"entity": "customer"}, cover={"total": 10}, filter=[])
    made = synthmill.make(need, tmp_path / "run", table)
    root, record = made.run.root, made.data["_id"][0]
    told = json.loads((root / synthmill.trace(root, record, True, table)["origin"]["private"]).read_text())
    assert all(v["_id"] for values in told["values"].values() for v in values)
    told = json.loads((root / synthmill.trace(root, record, True)["origin"]["private"]).read_text())
    assert not any(v.get("_id") for values in told["values"].values() for v in values)


def test_what_does_not_match_is_said_and_nothing_is_told(tmp_path: Path) -> None:
    orders().write_parquet(tmp_path / "orders.parquet")
    made = synthmill.make(spec(tmp_path / "orders.parquet"), tmp_path / "run")
    root, run = made.run.root, Run.open(made.run.root)
    record, part = made.data["_id"][7], run.path("data", 0)
    held = pl.read_parquet(part)
    held.with_columns(
        pl.when(pl.col("_id") == record).then(pl.lit("pilot")).otherwise("job").alias("job")
    ).write_parquet(part)
    story = synthmill.trace(root, record)
    assert "gives other values of 'job'" in story["origin"]["unknown"]
    with pytest.raises(Refusal, match="gives other values of 'job'"):
        synthmill.trace(root, record, private=True)
    with pytest.raises(Refusal, match="gives other values of 'job'"):
        contributions(root)
    assert not (root / "private" / "contributions.parquet").exists()
    held.write_parquet(part)
    (tmp_path / "orders.parquet").unlink()  # without the real data its rows are known by number
    told = json.loads((root / synthmill.trace(root, record, private=True)["origin"]["private"]).read_text())
    assert "by their number in train alone" in told["note"]
    assert told["values"]["job"][0]["row"] >= 0
    assert told["values"]["job"][0]["_id"] is None
    assert "by their number" in contributions(root).note
    for file in (root / "private" / "models").rglob("forest.*"):
        file.unlink()
    assert "forest" in synthmill.trace(root, record)["origin"]["unknown"]


def test_generators_that_cannot_tell(tmp_path: Path) -> None:
    orders(200).write_parquet(tmp_path / "orders.parquet")
    made = synthmill.make(
        spec(tmp_path / "orders.parquet", generate="tabular.copula", cover={"quota": 20}), tmp_path / "run"
    )
    assert "origin" not in synthmill.trace(made.run.root, made.data["_id"][0])
    with pytest.raises(Refusal, match=r"--private: tabular\.copula does not tell"):
        synthmill.trace(made.run.root, made.data["_id"][0], private=True)
    with pytest.raises(Refusal, match=r"none of its generators \(tabular\.copula, tabular\.identity\) tells"):
        contributions(made.run.root)


def test_wrong_ways_to_ask(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", str(place / "run")]) == 2
    assert "which record?" in capsys.readouterr().err
    assert main(["trace", str(place / "run"), "--contributions", "--private"]) == 2
    assert "--private are of one" in capsys.readouterr().err


def test_levels_of_cells_are_written_and_read_back() -> None:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    levels = (
        ("job", "clerk"), ("n", 3), ("x", 0.1), ("flag", True), ("pay", Bin(None, 0.3)), ("age", Bin(17, 30, closed=True)),
        ("day", Bin(date(2024, 1, 1), None)), ("at", Bin(datetime(2024, 1, 1, 5, tzinfo=zone), datetime(2024, 7, 1, tzinfo=zone))),
    )  # fmt: skip
    again = understood(json.loads(json.dumps(written(levels))))
    assert again == levels
    assert [str(v) for _, v in again] == [str(v) for _, v in levels]
