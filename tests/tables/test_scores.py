import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score, roc_auc_score

from synthmill.tables import scores

floats = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)
counts = st.integers(0, 3)


@given(floats, floats, st.randoms(use_true_random=False))
def test_auc_is_scikit_learns_with_weights_and_ties(positive, negative, random):
    p, n = np.array(positive), np.array(negative)
    wp = np.array([[random.randint(0, 3) for _ in p], [1] * len(p)], float)
    wn = np.array([[random.randint(0, 3) for _ in n], [1] * len(n)], float)
    wp[0, 0] = wn[0, 0] = 1
    y = np.r_[np.ones(len(p)), np.zeros(len(n))]
    for i, got in enumerate(scores.auc(p, n, wp, wn)):
        assert got == pytest.approx(roc_auc_score(y, np.r_[p, n], sample_weight=np.r_[wp[i], wn[i]]))


def test_auc_without_one_side_is_unknown():
    assert np.isnan(scores.auc(np.ones(2), np.ones(2), np.zeros((1, 2)), np.ones((1, 2)))).all()


def test_r_squared_is_scikit_learns():
    rng = np.random.default_rng(0)
    y, guess, w = rng.normal(size=50), rng.normal(size=50), rng.integers(0, 4, (3, 50)).astype(float)
    assert scores.r_squared(y, guess, w) == pytest.approx([r2_score(y, guess, sample_weight=v) for v in w])
    assert np.isnan(scores.r_squared(np.ones(3), np.ones(3), np.ones((1, 3)))).all()


def test_recall_counts_members_above_the_hundredth_stranger():
    strangers, members = np.arange(200.0), np.array([199.5, 198.5, 197.5, 0.0])
    ones = np.ones((1, 4)), np.ones((1, 200))
    assert scores.recall_at(0.01, members, strangers, *ones)[0] == 0.5  # 2 of 200 reach 198


def test_strangers_who_are_copies_too_do_not_hide_the_members():
    strangers, members = np.r_[np.ones(8), np.zeros(192)], np.r_[np.ones(50), np.zeros(50)]
    ones = np.ones((1, 100)), np.ones((1, 200))
    assert scores.recall_at(0.01, members, strangers, *ones)[0] == 0.125  # 2 of 8 tied strangers: a quarter of 50%
    assert scores.recall_at(0.01, np.ones(5), np.ones(200), np.ones((1, 5)), ones[1])[0] == 0.01  # no information


def test_quantiles_respect_weights():
    w = np.array([[1.0, 1, 1, 1], [0, 0, 4, 0]])
    got = scores.quantiles(np.array([10.0, 20, 30, 40]), np.array([0.0, 0.5, 1.0]), w)
    assert got.tolist() == [[10, 20, 40], [10, 30, 30]]


def test_totals_and_share():
    distinct, mass = scores.totals(np.array([3, 1, 3]), np.array([[1.0, 1, 1], [0, 2, 1]]))
    assert distinct.tolist() == [1, 3]
    assert mass.tolist() == [[1, 2], [2, 1]]
    assert scores.share(np.array([1, 1, 4, 4]), [0, 1, 9]).tolist() == [0, 0.5, 0]
