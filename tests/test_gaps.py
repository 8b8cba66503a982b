"""need: planted gaps are found, chance is not, nobody is named, and the proposed spec can be made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import synthmill
from synthmill.cells import Bin
from synthmill.cli.main import main
from synthmill.frame import rng_of
from synthmill.refusal import Refusal
from synthmill.spec import load_spec
from synthmill.tables.drift import drifts
from synthmill.tables.holm import holm
from synthmill.tables.infer import infer
from synthmill.tables.literals import literals, round_edges
from synthmill.tables.slices import find
from synthmill.verbs.need import need

N = 4_000


def table(seed: int = 1, n: int = N) -> pl.DataFrame:
    """Few in the north are old; four have a name of their own."""
    rng = rng_of("gaps", seed)
    region = rng.choice(["north", "south", "west"], n, p=[0.3, 0.66, 0.04])
    old = rng.random(n) < np.where(region == "north", 0.01, 0.3)
    job = rng.choice(["a", "b", "c", "d"], n)
    job[:4] = "only four"
    return pl.DataFrame(
        {
            "region": region,
            "stage": np.where(old, "old", "young"),
            "job": job,
            "pay": np.round(rng.lognormal(7, 0.5, n), 0),
            "label": rng.choice(["no", "yes"], n),
        }
    )


def with_errors(n: int = N, worse: float = 0.3) -> pl.DataFrame:
    """The model fails on b's in the south."""
    frame, rng = table(2, n), rng_of("errors")
    bad = (frame["region"] == "south") & (frame["job"] == "b")
    return frame.with_columns(error=pl.Series((rng.random(n) < 0.1 + worse * bad.to_numpy()).astype(float)))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    table().write_csv("real.csv")
    with_errors().write_csv("errors.csv")
    return tmp_path


def test_rare_levels_and_pairs_are_found_and_nobody_is_named(desk: Path) -> None:
    found = need("real.csv", target="label")
    assert [r.text for r in found.cells.single] == ["region=west"]
    assert found.cells.pairs[0].text in ("region=north & stage=old", "stage=old & region=north")
    assert found.cells.unnamed == ("job",)
    said = "\n".join([*found.lines(), json.dumps(found.to_json()), Path("need.yaml").read_text()])
    assert "only four" not in said
    spec = load_spec("need.yaml")[0]
    assert set(spec.cover.axes) == {"region", "stage"}
    assert len(synthmill.check("need.yaml").job.cells) == 6


def test_counts_below_ten_are_not_told(desk: Path) -> None:
    frame = table()
    few = (frame["region"] == "north") & (frame["stage"] == "old")
    frame.filter(~few | (few.cum_sum() <= 7)).write_csv("real.csv")
    found = need("real.csv")
    pair = next(r for r in found.cells.pairs if "north" in r.text)
    assert (pair.people, pair.share) == (None, None)
    assert pair.to_json()["below"] == 10
    assert any("fewer than 10 people, if any" in line for line in found.lines())
    assert set(load_spec("need.yaml")[0].cover.axes) != {"region", "stage"}  # perhaps they cannot be


def test_a_planted_slice_is_found_and_quotas_are_put_on_it(desk: Path) -> None:
    found = need("real.csv", model_errors="errors.csv").found
    assert found is not None
    assert [{one.column: one.level for one in s.literals} for s in found.slices[:1]] == [
        {"region": "south", "job": "b"}
    ]
    first = found.slices[0]
    assert first.low <= 0.3 <= first.high
    assert first.error == pytest.approx(0.4, abs=0.06)
    assert first.p < 0.001
    spec = load_spec("need.yaml")[0]
    assert spec.cover.axes == {"region": ["south"], "job": ["b"]}
    data = spec.model_copy(update={"evaluate": [], "release": {}, "blend": None})
    data.cover.quota = 40
    made = synthmill.make(data, desk / "run").data
    assert made.select("region", "job").unique().rows() == [("south", "b")]


def test_where_the_model_fails_alike_there_is_no_slice() -> None:
    alarms = 0
    for seed in range(20):
        frame, rng = table(seed, 1_500), rng_of("null", seed)
        people = np.arange(frame.height)
        some = literals(frame, infer(frame), people)
        alarms += bool(find(some, (rng.random(frame.height) < 0.2).astype(float), people, rng).slices)
    assert alarms <= 4  # 5% of 20 is 1; more than 4 has a chance of 0.3%


def test_rows_of_one_person_count_once() -> None:
    """Forty people who are always or never wrong, 50 rows each: as rows they would prove anything."""
    alarms = [0, 0]
    for seed in range(12):
        rng = rng_of("clusters", seed)
        people = np.repeat(np.arange(80), 40)
        frame = pl.DataFrame({f"x{i}": rng.choice(["p", "q"], 80)[people] for i in range(4)})
        error = (rng.random(80) < 0.5)[people].astype(float)
        for k, who in enumerate((people, np.arange(len(people)))):
            some = literals(frame, infer(frame), who)
            alarms[k] += bool(find(some, error, who, rng_of("halves", seed), depth=1).slices)
    assert alarms[0] <= 3
    assert alarms[1] > alarms[0] + 3


@pytest.mark.parametrize(
    ("column", "options"),
    [("correct", {}), ("loss", {}), ("mine", {"error": "mine"}), ("prediction", {"target": "label"})],
)
def test_every_way_to_tell_errors(desk: Path, column: str, options: dict[str, Any]) -> None:
    frame = with_errors()
    told = {
        "correct": 1 - frame["error"],
        "loss": frame["error"] * 3,
        "mine": frame["error"] > 0,
        "prediction": pl.select(
            pl.when(frame["error"] > 0).then(pl.lit("neither")).otherwise(frame["label"])
        ).to_series(),
    }
    frame.drop("error").with_columns(told[column].alias(column)).write_csv("errors.csv")
    found = need("real.csv", model_errors="errors.csv", **options).found
    assert found is not None
    assert found.slices[0].text == "region=south & job=b"


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (table(2), {}, "it tells no errors"),
        (table(2).with_columns(prediction=pl.lit("no")), {}, "needs the column that was predicted"),
        (with_errors(), {"error": "eror"}, "did you mean 'error'"),
        (with_errors().drop("pay"), {}, "it lacks 'pay'"),
        (with_errors(150), {}, "too few to find slices"),
        (table(2).with_columns(error=pl.lit("bad")), {}, "errors are numbers"),
    ],
)
def test_what_tells_no_errors_is_one_sentence(desk: Path, frame: pl.DataFrame, options: Any, sentence: str) -> None:
    frame.write_csv("errors.csv")
    with pytest.raises(Refusal, match=sentence):
        need("real.csv", model_errors="errors.csv", **options)
    assert not Path("need.yaml").exists()


def test_drift_is_told_with_its_interval_and_answered_by_weights(desk: Path) -> None:
    newer = table(3).filter((pl.col("region") != "south") | (pl.int_range(N) % 2 == 0))
    newer.write_csv("newer.csv")
    found = need("real.csv", against="newer.csv")
    assert found.drifted[0].column == "region"
    first = found.drifted[0]
    assert first.kind == "tv"
    assert first.distance.low <= 0.165 <= first.distance.high
    assert {d.column for d in found.drifted if d.p < 0.05} <= {"region", "stage"}
    assert found.c2st is not None
    assert found.same is not None
    assert found.c2st.low > 0.5 > found.same.low
    spec = load_spec("need.yaml")[0]
    assert isinstance(spec.cover.weights, dict)
    assert spec.cover.weights["region"]["south"] == pytest.approx((newer["region"] == "south").mean(), abs=0.01)
    assert [c.quota for c in synthmill.check("need.yaml").job.cells][1] == pytest.approx(4000 * 0.49, rel=0.1)


def test_a_newer_file_that_holds_the_older_one_is_told_on(desk: Path) -> None:
    pl.concat([table(), table(7, 400)]).write_csv("newer.csv")
    assert any("are also in the first file" in n for n in need("real.csv", against="newer.csv").notes)
    table(8).write_csv("other.csv")
    assert not need("real.csv", "other.yaml", against="other.csv").notes


def test_two_draws_of_one_table_have_not_drifted() -> None:
    alarms = 0
    for seed in range(20):
        first, second = (table(100 * k + seed, 800) for k in (1, 2))
        people = [np.arange(800)] * 2
        alarms += any(d.p < 0.05 for d in drifts(first, second, infer(first), people, rng_of("drift", seed)))
    assert alarms <= 4


def test_drifted_numbers_and_missing_values() -> None:
    first = table(1).with_columns(pay=pl.col("pay") * 1.0)
    second = table(2).with_columns(pay=pl.when(pl.int_range(N) % 5 == 0).then(None).otherwise(pl.col("pay") * 1.5))
    found = {d.column: d for d in drifts(first, second, infer(first), [np.arange(N)] * 2, rng_of("x"))}
    from scipy.stats import ks_2samp

    exact = ks_2samp(first["pay"], second["pay"].drop_nulls()).statistic
    assert found["pay"].distance.value == pytest.approx(exact, abs=1 / 256)
    assert found["pay"].psi.low > 0.2
    assert found["job"].p > 0.05


def test_edges_are_round_and_inside() -> None:
    rng = rng_of("edges")
    for x in (rng.normal(0, 1, 500), rng.lognormal(8, 2, 500), rng.integers(0, 1000, 500) * 1.0, np.array([5.0] * 9)):
        edges = round_edges(x, whole=False, ranges=5)
        assert edges == sorted(set(edges))
        assert all(x.min() < e <= x.max() for e in edges)
        assert all(len(f"{e:g}") <= 6 for e in edges)
    ages = literals(
        table().with_columns(age=pl.int_range(N) % 70),
        infer(table().with_columns(age=pl.int_range(N) % 70)),
        np.arange(N),
    )
    assert sum(one.rows.sum() for one in ages if one.column == "age") == N
    assert all(isinstance(one.level, Bin) for one in ages if one.column == "age")


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_on_the_command_line(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["need", "real.csv", "--model-errors", "errors.csv", "--target", "label"]) == 0
    said = capsys.readouterr().out
    assert "region=south & job=b" in said
    assert "wrote need.yaml" in said
    assert main(["check", "need.yaml"]) == 0
    capsys.readouterr()
    assert main(["need", "real.csv"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["need", "real.csv", "--json", "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["rare"][0]["where"] == {"region": "west"}
