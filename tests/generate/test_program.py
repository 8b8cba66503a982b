import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmill.cells import Bin, Cell
from synthmill.generate.simulate._space import Dimension
from synthmill.generate.simulate.program import Program
from synthmill.plugins import Request, build
from synthmill.refusal import Refusal

SPACE = {
    "speed": {"uniform": [0, 40]},
    "surface": ["dry", "wet"],
    "n": {"integers": [1, 9]},
    "temp": {"normal": [20, 5]},
    "rate": {"log_uniform": [1e-3, 1]},
    "fixed": 3,
}


def brake(parameters, seed):
    grip = 0.8 if parameters["surface"] == "dry" else 0.4
    noise = np.random.default_rng(seed).normal(scale=0.1)
    return {"distance": parameters["speed"] ** 2 / (2 * 9.81 * grip), "noise": noise, "n": parameters["n"]}


def ask(program, rows=50, seed=1, **where):
    return program.generate(Request(0, Cell(0, tuple(where.items()), rows), 0, rows, seed))


def test_parameters_and_record_share_the_row():
    program = Program(function=brake, space=SPACE)
    made = ask(program)
    assert dict(made.schema) == program.schema()
    assert made.columns == ["speed", "surface", "temp", "rate", "fixed", "distance", "noise", "n"]
    grip = pl.when(pl.col("surface") == "dry").then(0.8).otherwise(0.4)
    again = made.select((pl.col("speed") ** 2 / (2 * 9.81 * grip)).alias("distance"))["distance"]
    assert (made["distance"] - again).abs().max() < 1e-9


@pytest.mark.parametrize("sampler", ["random", "latin", "sobol"])
def test_same_seed_same_bytes_and_other_seed_other_rows(sampler):
    program = Program(function=brake, space=SPACE, sampler=sampler)
    assert ask(program).equals(ask(program))
    assert not ask(program, seed=2).equals(ask(program))
    assert ask(program, 0).height == 0
    assert ask(program, 1).height == 1


def test_latin_has_one_point_in_every_stratum():
    speed = ask(Program(function=brake, space=SPACE, sampler="latin"), 40)["speed"]
    assert sorted(speed.floor().to_list()) == list(range(40))


def test_a_cell_narrows_the_space_exactly():
    where = {"speed": Bin(10, 10.5), "surface": "wet", "n": Bin(2, 5), "temp": Bin(40, None), "rate": Bin(0.5, 2.0)}
    program = Program(function=brake, space=SPACE)
    assert program.conditions(list(where))
    assert not program.conditions(["distance"])
    made = ask(program, 200, **where)
    assert made.height == 200
    assert made.filter(Cell(0, tuple(where.items()), 1).holds()).height == 200
    assert set(made["n"]) == {2, 3, 4}
    assert ask(program, surface="icy").height == 0
    assert ask(program, speed=Bin(40, 50)).height == 50
    assert ask(program, speed=Bin(41, 50)).height == 0
    assert ask(program, speed=Bin(date(2020, 1, 1), None)).height == 0
    assert ask(program, speed="fast").height == 0
    assert ask(program, fixed=3).height == 50


@given(st.floats(-50, 50), st.floats(0, 30), st.booleans(), st.sampled_from(["uniform", "integers", "normal"]))
def test_whatever_a_bin_leaves_lies_in_it(low, width, closed, shape):
    bin_ = Bin(low, low + width, closed)
    left = Dimension.parse("x", {shape: [-10, 20]}, "test").within(bin_)
    if left is None:
        return
    values = left.at(np.array([0.0, 0.3, 0.999999, np.nextafter(1, 0)]))
    frame = pl.DataFrame({"x": values})
    assert frame.filter(bin_.holds("x")).height == 4
    assert shape == "normal" or (frame["x"].min() >= -10 and frame["x"].max() <= 20)


def test_failing_calls_are_rows_with_a_message():
    def f(parameters, seed):
        if parameters["x"] == 1:
            raise ValueError("boom")
        if parameters["x"] == 2:
            return {"y": "text"}
        if parameters["x"] == 3:
            return {"y": 1.0, "z": 2}
        if parameters["x"] == 4:
            return "nothing"
        return {"y": 1.0}

    program = Program(function=f, space={"x": [0, 1, 2, 3, 4]}, columns={"y": "Float64"})
    made = ask(program, 60)
    assert made.height == 60
    errors = set(made.drop_nulls("_error")["_error"])
    assert errors == {
        "ValueError: boom",
        "'y' is str 'text', expected Float64",
        "unknown key 'z'; Choices: x, y",
        "TypeError: test_failing_calls_are_rows_with_a_message.<locals>.f returned str; a dict or a list of dicts is expected",
    }
    assert made.filter(pl.col("_error").is_not_null())["x"].null_count() == made["_error"].count()
    assert set(made.filter(pl.col("_error").is_null())["x"]) == {0}


def test_lists_nest_and_are_checked_deeply():
    def f(parameters, seed):
        return {"readings": [{"t": np.float64(i), "on": i % 2 == 0} for i in range(seed % 4)]}

    program = Program(function=f)
    assert program.schema() == {"readings": pl.List(pl.Struct({"t": pl.Float64, "on": pl.Boolean}))}
    assert ask(program)["readings"].list.len().max() == 3

    def g(parameters, seed):
        return {"readings": [{"t": "late"}]}

    wrong = ask(Program(function=g, columns={"readings": "List(Struct({'t': Float64}))"}), 1)
    assert wrong["_error"][0] == "'readings[0].t' is str 'late', expected Float64"


def test_a_value_polars_cannot_hold_costs_its_own_row():
    def f(parameters, seed):
        return {"y": "\ud800" if parameters["x"] else "fine"}

    made = ask(Program(function=f, space={"x": [0, 1]}, columns={"y": "String"}))
    assert set(made["y"]) == {"fine", None}
    assert "surrogates" in made.drop_nulls("_error")["_error"][0]
    assert 0 < made["_error"].count() < 50


def test_a_call_may_return_several_records():
    made = ask(Program(function=lambda p, seed: [{"i": 0}, {"i": 1}, {"i": 2}]), 7)
    assert made["i"].to_list() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"function": "math:nope"}, "math has no 'nope'"),
        ({"function": "math:pi"}, "not callable"),
        ({"space": {"x": {"unform": [0, 1]}}}, "did you mean 'uniform'"),
        ({"space": {"x": {"uniform": [2, 1]}}}, "2 is above 1"),
        ({"space": {"x": {"uniform": ["a", 1]}}}, "two numbers expected"),
        ({"space": {"x": {"log_uniform": [0, 1]}}}, "not positive"),
        ({"space": {"x": []}}, "empty list"),
        ({"space": {"x": {"integers": [0, 1.5]}}}, "not whole"),
        ({"space": {"x": {"normal": [0, math.inf]}}}, "not finite"),
        ({"columns": {"y": "Flot64"}}, "Flot64"),
        ({"sampler": "grid"}, "sampler"),
    ],
)
def test_wrong_configuration_is_one_sentence(options, sentence):
    with pytest.raises(Refusal, match=r"simulate\.program") as e:
        build("generate", {"use": "simulate.program", "function": "math:floor", **options})
    assert sentence in str(e.value)


def test_a_function_that_always_fails_has_no_schema():
    def f(parameters, seed):
        raise RuntimeError("no licence")

    with pytest.raises(Refusal, match="RuntimeError: no licence"):
        Program(function=f).schema()


def test_a_function_in_a_file(tmp_path):
    (tmp_path / "sim.py").write_text("def f(p, seed):\n    return {'y': p['x'] * 2}\n")
    program = build(
        "generate",
        {"use": "simulate.program", "function": f"{tmp_path}/sim.py:f", "space": {"x": {"integers": [1, 3]}}},
    )
    made = ask(program)
    assert (made["y"] == made["x"] * 2).all()
