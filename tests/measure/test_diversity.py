import math
from collections import Counter

import numpy as np
import polars as pl
import pytest

from synthmill.conformance import check_metric
from synthmill.frame import rng_of
from synthmill.measure.diversity import Diversity
from synthmill.plugins import Evidence
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.texts import diversity as of

SCHEMA = Schema((Column("text", "text", "String"),))


def written(n: int, *names: object, vocabulary: int = 400) -> list[str]:
    """Texts whose words follow Zipf's law."""
    rng = rng_of("diversity", *names)
    p = 1 / np.arange(1, vocabulary + 1)
    drawn = rng.choice(vocabulary, size=(n, 25), p=p / p.sum())
    return [" ".join(f"w{i}" for i in row) for row in drawn]


def measure(synthetic: list[str], **options):
    real, held = written(160, "real"), written(160, "held")
    frames = [pl.DataFrame({"text": t}) for t in (synthetic, real, held)]
    return {m.name: m for m in Diversity(**options).measure(Evidence(*frames, SCHEMA, 1))}


def test_fresh_text_is_at_the_ceiling_and_repeated_text_at_the_floor():
    fresh, repeated = measure(written(160, "fresh")), measure(written(16, "fresh") * 10)
    for name in Diversity.measures:
        good, bad = fresh[name], repeated[name]
        assert good.low <= good.value <= good.high
        assert abs(good.value - good.ceiling) < 0.2 * abs(good.ceiling - good.floor), name
        assert abs(bad.value - bad.floor) < 0.2 * abs(bad.ceiling - bad.floor), name
        assert (bad.high < good.low) if good.better == "higher" else (bad.low > good.high), name


def test_one_text_over_and_over_is_worst():
    m = measure(["the same words again and again"] * 160)
    assert m["vendi"].value == pytest.approx(1 / 160)
    assert m["self_bleu"].value == pytest.approx(1)
    assert m["distinct_1"].value < 0.01
    assert m["compression"].value > 20
    assert m["coverage"].value < 0.1


def test_long_texts_are_compared_at_the_length_of_short_ones():
    """Twice as long texts by the same writer: distinct-n of all their words would be lower."""
    long = [f"{a} {b}" for a, b in zip(written(160, "one"), written(160, "two"), strict=True)]
    m = measure(long)["distinct_1"]
    whole = of.distinct(of.tokens(long), 1, np.zeros(160, int))[0]
    assert abs(m.value - m.ceiling) < 0.02
    assert whole < m.value - 0.02


def test_intervals_hold_what_other_texts_of_the_writer_give():
    """The values of forty other samples lie mostly in the interval of one, which is neither empty nor everything."""
    alone = np.zeros(160, int)
    values = [of.distinct(of.tokens(written(160, "many", i)), 2, alone)[0] for i in range(40)]
    m = measure(written(160, "many", 0))["distinct_2"]
    assert sum(m.low <= v <= m.high for v in values) > 25
    assert m.high - m.low < 0.1


def test_too_few_texts_are_unknown_and_no_text_is_refused():
    assert all(math.isnan(m.value) and m.note for m in measure(written(5, "few")).values())
    plain = pl.DataFrame({"age": [1, 2, 3]})
    with pytest.raises(Refusal, match="no column of text"):
        Diversity().suits(plain, Schema((Column("age", "integer", "Int64"),)), None)


def test_the_contract_of_metrics_with_text_and_draws():
    real, held = pl.DataFrame({"text": written(80, "real")}), pl.DataFrame({"text": written(60, "held")})
    made = [pl.DataFrame({"text": written(60, "made", i)}) for i in range(3)]
    evidence = Evidence(made[0], real, held, SCHEMA, 1, draws=tuple(made[1:]))
    check_metric(lambda: Diversity(rows=60), evidence)
    assert len(Diversity(rows=60).measure(evidence)[0].detail["seeds"]) == 3


def test_distinct_by_hand_and_without_a_group():
    texts = [["a", "b", "a"], ["a", "c"]]
    assert of.distinct(texts, 1, np.array([0, 1])).tolist() == [3 / 5, 2 / 2, 2 / 3]
    assert of.distinct(texts, 2, np.array([0, 1])).tolist() == [3 / 3, 1 / 1, 2 / 2]


def plain_bleu(hypothesis: list[str], references: list[list[str]]) -> float:
    """As Papineni et al. define it, one reference after the other."""
    logs = 0.0
    for k in range(1, 5):
        own = Counter(tuple(hypothesis[i : i + k]) for i in range(len(hypothesis) - k + 1))
        most: Counter = Counter()
        for r in references:
            most |= Counter(tuple(r[i : i + k]) for i in range(len(r) - k + 1))
        logs += math.log(max(sum((own & most).values()), 0.1) / max(1, sum(own.values()))) / 4
    nearest = min((abs(len(r) - len(hypothesis)), len(r)) for r in references)[1]
    return math.exp(logs) * (1.0 if len(hypothesis) >= nearest else math.exp(1 - nearest / len(hypothesis)))


def test_self_bleu_is_bleu_against_all_others():
    rng = rng_of("bleu")
    texts = [[f"w{i}" for i in rng.integers(6, size=rng.integers(4, 15))] for _ in range(25)]
    expected = [plain_bleu(t, texts[:i] + texts[i + 1 :]) for i, t in enumerate(texts)]
    assert of.self_bleu(texts) == pytest.approx(expected)


def test_vendi_of_known_sets_by_either_matrix():
    same, apart = np.tile([1.0, 0.0], (6, 1)), np.eye(6)
    assert of.vendi(same) == pytest.approx(1)
    assert of.vendi(apart) == pytest.approx(6)
    rows = rng_of("vendi").normal(size=(50, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    padded = np.hstack([rows, np.zeros((50, 60))])  # wider than long: the other matrix
    assert of.vendi(rows) == pytest.approx(of.vendi(padded))


def test_compression_sees_what_repeats_far_apart():
    text = written(2_000, "far")
    assert of.compression(text + text) > 1.9 * of.compression(text)
