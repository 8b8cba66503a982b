import numpy as np
import pytest

from synthmill.tables.worlds import Cut, Worlds


def table(n=2000, d=7, seed=0):
    """Codes that follow one hidden variable, so that every column depends on those before."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 6, n)
    return np.stack([1 + (z + rng.integers(0, 3, n)) % 6 for _ in range(d)]).astype(np.int32)


def build(codes, folds=5, worlds=3, leaf=5, shrink=1.0, most=40):
    d = len(codes)
    return Worlds(codes, np.arange(d) % 2 == 0, [7] * d, worlds, folds, most, 1, Cut(leaf, leaf, shrink))


def drawn(w, n=4000, seed=0, asked=None, order=None):
    order = order or list(range(len(w.codes)))
    return w.draw(order, n, np.random.default_rng(seed), asked)


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_a_row_lives_in_one_world_and_takes_each_column_from_its_own_fold(folds):
    w = build(table(), folds)
    donors = drawn(w)
    place = np.arange(len(donors)) % folds
    fits = np.stack([(w.fold[v][donors] == place[:, None]).all(axis=0) for v in range(w.worlds)])
    assert fits.any(axis=0).all()
    assert not (donors[1:] == donors[:-1]).any()
    assert all(len(np.unique(column)) >= min(folds, 7) for column in donors.T)


def test_nobody_gives_more_than_a_fold_of_a_row():
    donors = drawn(build(table(d=10), 5))
    assert max(np.unique(column, return_counts=True)[1].max() for column in donors.T) <= 2


def test_where_a_fold_has_no_one_a_fold_that_is_no_neighbours_gives():
    """Two rows alone hold a level: places whose fold lacks them still take no value from a neighbour's fold."""
    codes = table(200, 3)
    codes[1] = 0
    codes[1, [5, 80]] = 2
    w = build(codes, 5, worlds=20)
    donors = drawn(w)
    assert set(donors[1]) == {5, 80}
    beside = 0
    for v in range(w.worlds):
        if any(w.fold[v][[5, 80]] == 1) or all(np.isin(w.fold[v][[5, 80]], [0, 2])):
            continue
        given = w._donors(v, 1, codes[1] > 0)
        beside += 1
        assert not np.isin(w.fold[v][given], [0, 2]).any()
    assert beside


def test_a_cell_is_asked_for_by_mask_and_met():
    w = build(table())
    mask, other = np.isin(np.arange(7), [2, 3]), np.isin(np.arange(7), [5])
    donors = drawn(w, asked={0: mask, 1: other})
    assert np.isin(w.codes[0][donors[0]], [2, 3]).all()
    assert (w.codes[1][donors[1]] == 5).all()
    place = np.arange(7) % 5
    assert np.stack([(w.fold[v][donors] == place[:, None]).all(axis=0) for v in range(3)]).any(axis=0).all()
    assert drawn(w, asked={0: np.zeros(7, bool)}) is None


def test_a_cell_no_row_has_is_met_by_each_column_alone():
    codes = table()
    codes[1] = codes[0]
    w = build(codes)
    donors = drawn(w, asked={0: np.arange(7) == 1, 1: np.arange(7) == 2})
    assert (codes[0][donors[0]] == 1).all()
    assert (codes[1][donors[1]] == 2).all()


def test_within_a_cell_several_numbers_keep_their_joint_distribution():
    """Codes asked for as ranges: what is drawn within them is distributed as the rows in the cell are."""
    codes = table(20_000, 3)
    w = build(codes, worlds=5)
    mask = np.isin(np.arange(7), [1, 2, 3])
    donors = drawn(w, 40_000, asked={0: mask, 2: mask}, order=[0, 2, 1])
    a, c = codes[0][donors[0]], codes[2][donors[2]]
    held = mask[codes[0]] & mask[codes[2]]
    real = np.bincount(codes[0][held] * 7 + codes[2][held], minlength=49) / held.sum()
    made = np.bincount(a * 7 + c, minlength=49) / 40_000
    assert np.abs(real - made).sum() / 2 < 0.03


def test_what_is_known_stays_and_leads():
    codes = table(6000, 4)
    w = build(codes)
    given, missing = codes[:, :3000].copy(), np.zeros((4, 3000), bool)
    missing[[0, 2]] = True
    given[missing] = 0
    holes = np.zeros(codes.shape, bool)
    holes[0] = codes[0] == 5
    whole = w.completed([0, 1, 2, 3], holes)
    assert not (whole.codes[0] == 5).any()
    assert np.array_equal(whole.codes[~holes], codes[~holes])
    whole.impute([0, 1, 2, 3], given, missing, np.random.default_rng(0))
    assert np.array_equal(given[[1, 3]], codes[[1, 3], :3000])
    assert not (given[0] == 5).any()
    assert (given[2] == 5).any()
    near = np.abs((given[2] - given[3] + 3) % 6 - 3)
    assert near.mean() < 1.15  # 1.5 if column 2 were drawn whatever column 3, which follows it in the order, is


def test_imputed_codes_have_the_distribution_of_the_rest():
    """Two of four columns missing for good: their joint distribution with what is known is that of complete rows."""
    codes = table(20_000, 4)
    w = build(codes, worlds=3, leaf=20)
    given, missing = codes.copy(), np.zeros(codes.shape, bool)
    missing[:2] = True
    w.completed([0, 1, 2, 3], np.zeros(codes.shape, bool)).impute(
        [0, 1, 2, 3], given, missing, np.random.default_rng(0)
    )
    for a, b in ((0, 1), (0, 3), (1, 2)):
        real, made = (np.bincount(c[a] * 7 + c[b], minlength=49) / 20_000 for c in (codes, given))
        assert np.abs(real - made).sum() / 2 < 0.05


def test_trees_asked_for_since_decide_nothing_that_is_kept():
    w = build(table())
    order = list(range(7))
    w.grow(order)
    before = w.to_json(), {k: v.copy() for k, v in w.arrays().items()}
    first = drawn(w)
    drawn(w, asked={4: np.arange(7) == 2}, order=[4, 0, 1, 2, 3, 5, 6])
    assert len(w.grown) > 7 * 3
    assert w.to_json() == before[0]
    assert all(np.array_equal(v, before[1][k]) for k, v in w.arrays().items())
    assert np.array_equal(drawn(w), first)
    again = Worlds.load(w.to_json(), w.arrays())
    assert np.array_equal(drawn(again), first)


def test_forgotten_trees_grow_again_as_they_were(monkeypatch):
    monkeypatch.setattr("synthmill.tables.worlds._MORE", 3)
    w = build(table())
    w.grow(list(range(7)))
    other = [4, 0, 1, 2, 3, 5, 6]
    asked = {4: np.arange(7) == 2}
    first = drawn(w, asked=asked, order=other)
    assert len(w.grown) <= 21 + 4
    assert np.array_equal(drawn(w, asked=asked, order=other), first)


def test_predictors_are_those_that_tell_most():
    rng = np.random.default_rng(99)
    codes = table(3000, 6)
    codes[[1, 2, 4]] = rng.integers(1, 7, (3, 3000))
    w = build(codes, most=2)
    assert w._predictors(5, range(5)) == (0, 3)


def test_taking_rows_out_grows_no_tree_although_each_is_given_few_columns():
    """Which columns those are was chosen with the rows that are gone; chosen anew, the trees would be others."""
    rng = np.random.default_rng(5)
    w = build(rng.integers(1, 7, (9, 600)).astype(np.int32), most=2)
    w.grow(list(range(9)))
    grown = len(w.grown)
    left = w.without(np.arange(600) < 200)
    for some in (left, Worlds.load(left.to_json(), left.arrays())):
        drawn(some)
        assert len(some.grown) == grown
        assert set(some.grown) == set(w.grown)


def test_rows_taken_out_give_nothing():
    w = build(table())
    gone = np.zeros(2000, bool)
    gone[::3] = True
    kept = np.flatnonzero(~gone)
    w.grow(list(range(7)))
    left = w.without(gone)
    donors = drawn(left)
    assert left.codes.shape[1] == len(kept)
    assert np.array_equal(left.fold, w.fold[:, kept])
    place = np.arange(7) % 5
    assert np.stack([(w.fold[v][kept[donors]] == place[:, None]).all(axis=0) for v in range(3)]).any(axis=0).all()
