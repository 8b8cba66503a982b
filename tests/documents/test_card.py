import datetime as dt
import re

import polars as pl
import pytest
import yaml

from fake_run import fake_run, people
from synthmill.documents import write_documents
from synthmill.documents.features import feature

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100"
    "c9fe92ef0000000049454e44ae426082"
)


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")

    def loaded(run):
        from datasets import load_dataset

        return load_dataset(str(run.root), split="train", cache_dir=str(tmp_path / "cache"))

    return loaded


def typed(n):
    return people(n).with_columns(
        pl.lit(dt.datetime(2024, 5, 6, 7, 8)).alias("seen"),
        pl.lit(3, pl.Int16).alias("short"),
        pl.Series("readings", [[{"hour": 1, "heat": 2.5}]] * n),
        pl.Series("tags", [["x", "y"]] * n),
        pl.Series(
            "picture", [{"bytes": PIXEL, "path": "a.png"}] * n, pl.Struct({"bytes": pl.Binary, "path": pl.String})
        ),
    )


def test_datasets_opens_the_run_with_its_types(tmp_path, load):
    run = fake_run(tmp_path / "run", typed(30), None)
    write_documents(run)
    data = load(run)
    assert len(data) == 30
    kinds = {k: str(getattr(v, "dtype", v)) for k, v in data.features.items()}
    assert kinds["age"] == "int64"
    assert kinds["pay"] == "float64"
    assert kinds["since"] == "date32"
    assert kinds["smokes"] == "bool"
    assert kinds["seen"] == "timestamp[us]"
    assert kinds["short"] == "int16"
    assert type(data.features["picture"]).__name__ == "Image"
    row = data.with_format(None).select_columns(["readings", "tags", "seen", "_id"])[0]
    assert row["readings"] == [{"hour": 1, "heat": 2.5}]
    assert row["tags"] == ["x", "y"]
    assert row["seen"] == dt.datetime(2024, 5, 6, 7, 8)
    assert row["_id"] == run.data()["_id"][0]


@pytest.mark.parametrize(
    "dtype",
    [
        pl.List(pl.List(pl.Int8)),
        pl.Struct({"a": pl.List(pl.Struct({"b": pl.Float32})), "c": pl.Boolean}),
        pl.Datetime("ns", "UTC"),
        pl.Duration("ms"),
        pl.Decimal(10, 2),
        pl.Time(),
        pl.Binary(),
    ],
)
def test_types_are_written_as_datasets_reads_them(dtype):
    from datasets import Features

    dtype = pl.DataFrame(schema={"x": dtype}).schema["x"]
    read = Features._from_yaml_list([{"name": "x", **feature(dtype)}]).arrow_schema.field("x").type
    made = pl.DataFrame(schema={"x": dtype}).to_arrow().schema.field("x").type
    assert str(read).replace("large_", "").replace("item", "element") == str(made).replace("large_", "").replace(
        "item", "element"
    ).replace("binary_view", "binary").replace("string_view", "string")


def head_and_body(run):
    write_documents(run)
    _, head, body = (run.root / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_an_unreleased_run_says_so(tmp_path):
    head, body = head_and_body(fake_run(tmp_path / "run", people(60, 1), people(100)))
    assert "**UNRELEASED.**" in body
    assert "unreleased" in head["tags"]
    assert head["license"] == "cc-by-4.0"
    assert head["configs"] == [{"config_name": "default", "data_files": "data/*.parquet"}]
    assert head["size_categories"] == ["n<1K"]
    assert "Column shapes | 0.930 | 0.910 to 0.950 | 0.900 | 0.980" in body
    assert "<script>" not in re.sub(r"`[^`\n]*`", "", body)  # in a code span it is text


def test_an_unknown_licence_is_declared_as_other(tmp_path):
    run = fake_run(tmp_path / "run", people(20), None)
    run.manifest["spec"]["licence"] = "Ours alone"
    head, _ = head_and_body(run)
    assert (head["license"], head["license_name"]) == ("other", "Ours alone")
