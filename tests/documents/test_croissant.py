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


def test_parts_are_named_with_their_digests(run):
    document = json.loads((run.root / "croissant.json").read_text())
    parts = [d for d in document["distribution"] if d["@type"] == "cr:FileObject"]
    assert len(parts) == 2
    for part in parts:
        assert part["sha256"] == hashlib.sha256((run.root / part["contentUrl"]).read_bytes()).hexdigest()
    assert "missed by" in json.dumps(document["rai:dataLimitations"])
