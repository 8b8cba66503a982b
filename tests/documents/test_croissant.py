import hashlib
import json

import polars as pl
import pytest

from fake_run import fake_run, people
from synthmill.documents import write_documents


@pytest.fixture
def run(tmp_path):
    synthetic = people(40).with_columns(pl.Series("tags", [["x", "y"]] * 40))
    run = fake_run(tmp_path / "run", synthetic, people(100))
    write_documents(run)
    return run


def test_mlcroissant_validates_and_reads_it(run):
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=run.root / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("records"))
    data = run.data()
    assert len(records) == data.height
    assert [r["records/age"] for r in records] == data["age"].to_list()
    assert sorted(r["records/_id"].decode() for r in records) == sorted(data["_id"])


def test_nested_columns_are_read_field_by_field(tmp_path):
    import mlcroissant

    read = [{"time": i / 2, "state name": f"s{i}", "peaks": [1.5, i]} for i in range(3)]
    rows = [read, [], None, read[:1]] * 5
    synthetic = people(20).with_columns(
        pl.Series("readings", rows),
        pl.Series("place", [{"x": 1, "y": None}, None] * 10),
        pl.Series("grid", [[[1, 2], [3]]] * 20),
        pl.Series("tree", [[{"leaves": [{"age": 1}]}]] * 20),
    )
    run = fake_run(tmp_path / "run", synthetic, people(100))
    write_documents(run)
    dataset = mlcroissant.Dataset(jsonld=run.root / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    records = {r["records/_id"].decode(): r for r in dataset.records("records")}
    for row in run.data().iter_rows(named=True):
        made = records[row["_id"]]
        names = ("time", "state+name", "peaks")
        if row["readings"]:
            got = [tuple(r[f"records/readings/{n}"] for n in names) for r in made["records/readings"]]
            assert got == [(r["time"], r["state name"].encode(), r["peaks"]) for r in row["readings"]]
        assert made["records/place"]["records/place/x"] == (row["place"] or {"x": None})["x"]
        assert made["records/grid"] == [[1, 2], [3]]
    document = json.loads((run.root / "croissant.json").read_text())
    assert document["recordSet"][0]["description"].endswith("nested too deeply: tree.")


def test_parts_are_named_with_their_digests(run):
    document = json.loads((run.root / "croissant.json").read_text())
    parts = [d for d in document["distribution"] if d["@type"] == "cr:FileObject"]
    assert len(parts) == 2
    for part in parts:
        assert part["sha256"] == hashlib.sha256((run.root / part["contentUrl"]).read_bytes()).hexdigest()
    assert "missed by" in json.dumps(document["rai:dataLimitations"])
