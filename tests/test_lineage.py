from __future__ import annotations

from pathlib import Path

import pytest

from lines import job, run_job
from synthmill.lineage import depth_after, parse_id, request_seed
from synthmill.refusal import Refusal


def test_bytes_per_row_at_scale(tmp_path: Path) -> None:
    """Two hundred thousand rows without scores; the identifiers in the data count as lineage too."""
    made = job(quota=100_000, fill={"size": 5_000, "part_rows": 60_000}, filters=["toys:Hush"])
    _, run = run_job(made, tmp_path / "run")
    rows = run.data().height
    assert rows == 200_000
    size = sum(p.stat().st_size for p in (run.root / "lineage").iterdir())
    assert size / rows <= 8
    ids = run.data(["_id", "_origin", "_run", "_depth"])
    ids.write_parquet(tmp_path / "ids.parquet", compression="zstd", compression_level=3)
    assert (size + (tmp_path / "ids.parquet").stat().st_size) / rows <= 40


def test_lineage_has_the_rows_of_the_data_in_their_order(tmp_path: Path) -> None:
    _, run = run_job(job(quota=200, verify=["toys:Odd"], fill={"size": 30, "part_rows": 90}), tmp_path / "run")
    data, rows = run.data(), run.rows()
    assert data["_id"].n_unique() == data.height == 400
    assert [parse_id(i) for i in data["_id"]] == [(run.id, k, i) for k, i in rows.select("_k", "_i").iter_rows()]
    assert rows["_score"].to_list() == data["x"].to_list()
    assert [run.manifest["cells"][c]["label"] for c in rows["_cell"]] == [f"colour={c}" for c in data["colour"]]
    for part in range(run.manifest["parts"]):
        assert run.path("rows", part).exists()


def test_a_record_can_be_made_again_from_its_lineage(tmp_path: Path) -> None:
    """One row per request and the names in the manifest are enough: seeds are not stored."""
    made = job(quota=150, verify=["toys:Odd"], fill={"size": 30})
    _, run = run_job(made, tmp_path / "run")
    requests = {r["k"]: r for r in run.requests().iter_rows(named=True)}
    assert sorted(requests) == list(range(len(requests)))
    again = job(quota=150)
    for record, row in zip(run.data().iter_rows(named=True), run.rows().iter_rows(named=True), strict=True):
        asked = requests[row["_k"]]
        request = again.request(asked["k"], asked["cell"], asked["ordinal"], asked["n"])
        assert request.seed == request_seed(1, ["toys:Coin"], request.cell.label, asked["ordinal"])
        frame = again.maker.generate(request)
        assert frame.row(row["_i"], named=True) == {c: record[c] for c in frame.columns}


def test_depth_is_written_on_every_record(tmp_path: Path) -> None:
    assert depth_after([]) == 1
    assert depth_after([0]) == 1
    assert depth_after([2, 0]) == 3
    _, run = run_job(job(depth=depth_after([2])), tmp_path / "run")
    assert set(run.data()["_depth"]) == {3}


def test_seeds_of_different_requests_differ() -> None:
    seeds = {
        request_seed(seed, uses, cell, ordinal, *stream)
        for seed in (1, 2)
        for uses in (["a"], ["a", "b"])
        for cell in ("x", "y")
        for ordinal in (0, 1)
        for stream in ((), ("draw", 1), ("draw", 2))
    }
    assert len(seeds) == 48


@pytest.mark.parametrize(
    "bad", ["", "abc", "0123456789ab", "0123456789ab-1", "0123456789ab-1-x", "0123456789ab-1--1", "0123456789ab-1-²"]
)
def test_what_is_no_id(bad: str) -> None:
    with pytest.raises(Refusal, match="is not the id of a synthetic record"):
        parse_id(bad)


def test_a_plugins_version_covers_the_mathematics_it_builds_on() -> None:
    from synthmill.generate.tabular import copula
    from synthmill.lineage import _built_on

    names = [m.__name__ for m in _built_on(copula)]
    assert names[0] == "synthmill.generate.tabular.copula"
    assert {"synthmill.tables.margins", "synthmill.tables.grid"} <= set(names)
    assert not any(n.startswith(("polars", "numpy", "synthmill.plugins")) for n in names)
