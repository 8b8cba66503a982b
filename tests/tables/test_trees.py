import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from synthmill.tables.donors import Conditional
from synthmill.tables.trees import Sample, Target, Tree, coordinates, grow, pack, stump, unpack


def walked(tree: Tree, codes: np.ndarray) -> list[int]:
    """The leaf of each column of codes, one node after another."""
    out = []
    for column in codes.T:
        node = 0
        while tree.feature[node] >= 0:
            f = int(tree.feature[node])
            value = tree.ranks[f][column[f]] if f in tree.ranks else column[f]
            node = node + 1 if value <= tree.bound[node] else int(tree.right[node])
        out.append(node)
    return out


def table(n=3000, seed=0, noise=False):
    """Three numbers and a category of 30 levels; the target follows all of them, with noise only half of the time."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 40, (4, n)).astype(np.int32)
    codes[3] = rng.integers(0, 30, n)
    target = ((codes[0] > 20) * 4 + (codes[3] * 7 % 5) + (codes[1] * codes[2] > 400)).astype(np.int32)
    return codes, np.where(rng.random(n) < 0.5 * noise, rng.integers(0, 10, n), target).astype(np.int32)


ORDERED, SIZES = np.array([True, True, True, False]), [40, 40, 40, 30]


def grown(codes, target, classes=False, leaf=10, predictors=(0, 1, 2, 3), aside=None):
    size = int(target.max()) + 1
    scores = np.eye(size) if classes else np.arange(size, dtype=float)[:, None]
    return grow(Sample(codes, target), Target(scores, classes), predictors, ORDERED, SIZES, leaf, 3, aside)


@pytest.mark.parametrize("classes", [False, True])
def test_leaves_are_those_of_scikit_learn(classes):
    """Ordered predictors only: their codes are what scikit-learn is given, so node by node the trees must agree."""
    codes, target = table()
    tree = grown(codes, target, classes, predictors=(0, 1, 2))
    learner = DecisionTreeClassifier if classes else DecisionTreeRegressor
    same = learner(min_samples_leaf=10, random_state=3).fit(codes[:3].T.astype(np.float32), target)
    fresh, _ = table(seed=9)
    assert np.array_equal(tree.leaves(fresh), same.apply(fresh[:3].T.astype(np.float32)))
    assert len(tree.feature) == same.tree_.node_count > 50


@pytest.mark.parametrize("classes", [False, True])
def test_leaves_are_found_one_by_one_too(classes):
    codes, target = table()
    tree = grown(codes, target, classes)
    assert set(tree.feature.tolist()) == {-1, 0, 1, 2, 3}
    fresh, _ = table(200, seed=4)
    assert tree.leaves(fresh).tolist() == walked(tree, fresh)


def test_levels_split_as_the_target_needs():
    """A category whose level decides the target by a rule no order of its codes shows: one tree level is enough."""
    rng = np.random.default_rng(0)
    codes = np.stack([np.zeros((2000,), np.int32)] * 3 + [rng.integers(0, 30, 2000).astype(np.int32)])
    target = (codes[3] * 7 % 5 < 2).astype(np.int32)
    tree = grown(codes, target, True)
    assert len(tree.feature) == 3
    leaf = tree.leaves(codes)
    assert all(len(np.unique(target[leaf == node])) == 1 for node in np.unique(leaf))


def test_a_leaf_of_few_rows_is_answered_by_the_lowest_node_above_it_with_enough():
    codes, target = table()
    tree = grown(codes, target, leaf=5)
    for least in (1, 20, 100, 10**6):
        answer = tree.pruned(least, False)
        for node in range(len(tree.feature)):
            path = [node]
            while path[-1]:
                path.append(int(tree.parent[path[-1]]))
            assert answer[node] == next((p for p in path if tree.rows[p] >= least), 0)
        assert tree.rows[answer].min() >= min(least, 3000)


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_stands_is_what_rows_left_out_confirm(classes, weighted):
    """Against the recursion it is the vectorised form of: a subtree stands if it beats its root by less than one row's share."""
    codes, target = table(noise=True)
    fresh, right = table(1500, seed=8, noise=True)
    weight = np.random.default_rng(1).choice([0.5, 3.0], 1500) if weighted else None
    tree = grown(codes, target, classes, leaf=4, aside=Sample(fresh, right, weight))
    size = int(target.max()) + 1
    scores = np.eye(size) if classes else np.arange(size, dtype=float)[:, None]
    heavy = np.ones(1500) if weight is None else weight
    at, own = tree.leaves(fresh), tree.leaves(codes)

    def error(node):
        inside = (at >= node) & (at < tree.end[node])
        mean = scores[target[(own >= node) & (own < tree.end[node])]].mean(axis=0)
        return float((heavy[inside, None] * (scores[right[inside]] - mean) ** 2).sum())

    grace, expected = error(0) / heavy.sum(), np.zeros(len(tree.feature), bool)

    def best(node):
        """Least error below the node, and the nodes that stand there."""
        alone = error(node)
        if tree.feature[node] < 0:
            return alone, [node]
        (a, left), (b, far) = best(node + 1), best(int(tree.right[node]))
        return (a + b, [node, *left, *far]) if a + b < alone + grace else (alone, [node])

    expected[best(0)[1]] = True
    assert np.array_equal(tree.stands, expected)
    assert 1 < expected.sum() < len(expected) / 2
    answer = tree.pruned(1, True)
    assert expected[answer].all()
    assert (answer[expected] == np.flatnonzero(expected)).all()


def test_noise_leaves_little_standing_and_structure_stays():
    rng = np.random.default_rng(3)
    codes, target = table()
    noise = rng.integers(0, 9, 3000).astype(np.int32)
    fresh, right = table(3000, seed=5)
    nothing = grown(codes, noise, aside=Sample(fresh, rng.integers(0, 9, 3000).astype(np.int32)))
    something = grown(codes, target, aside=Sample(fresh, right))
    assert nothing.stands.sum() < 0.05 * len(nothing.stands)
    assert something.stands.sum() > 0.5 * len(something.stands)
    assert grown(codes, noise).stands.all()


def test_a_subtree_is_a_run_of_nodes():
    tree = grown(*table())
    for node in np.flatnonzero(tree.feature >= 0)[:60]:
        below = {int(node)}
        for child in range(int(node) + 1, len(tree.feature)):
            if int(tree.parent[child]) in below:
                below.add(child)
        assert below == set(range(int(node), int(tree.end[node])))


def test_packed_trees_come_back():
    codes, target = table()
    trees = [
        grown(codes, target),
        grown(codes, target, aside=Sample(*table(900, 5))),
        stump(7),
        grown(codes, target, True, leaf=200),
    ]
    again = unpack({k: v.copy() for k, v in pack(trees).items()})
    for a, b in zip(trees, again, strict=True):
        for name in ("feature", "bound", "right", "rows", "stands", "parent", "end"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert a.ranks.keys() == b.ranks.keys()
        assert all(np.array_equal(a.ranks[f], b.ranks[f]) for f in a.ranks)
    assert unpack(pack([])) == []


def test_a_target_that_says_nothing_grows_no_tree():
    codes, target = table()
    assert len(grown(codes, np.full_like(target, 3)).feature) == 1
    assert len(grown(codes[:, :15], target[:15]).feature) == 1
    assert len(grown(codes, target, predictors=()).feature) == 1


def test_coordinates_put_levels_with_equal_profiles_together():
    rng = np.random.default_rng(1)
    centres = rng.random((3, 8))
    of = np.arange(60) % 3
    place = coordinates(centres[of] + rng.normal(0, 0.01, (60, 8)), np.full(60, 200.0), 2)
    within = max(np.ptp(place[of == k], axis=0).max() for k in range(3))
    apart = min(np.linalg.norm(place[of == a].mean(0) - place[of == b].mean(0)) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > 4 * within


def test_donors_come_from_the_leaf_and_climb_where_it_is_empty():
    codes, target = table()
    tree = grown(codes, target, leaf=50)
    leaf = tree.leaves(codes)
    empty = np.unique(leaf)[3]
    donors = np.flatnonzero(leaf != empty)
    held = Conditional.filled(tree, codes, donors, 1, False)
    rng = np.random.default_rng(0)
    drawn = held.draw(codes, 0.0, rng)
    assert np.isin(drawn, donors).all()
    same = leaf[drawn] == leaf
    assert same[leaf != empty].all()
    near = int(tree.parent[empty])
    inside = (leaf >= near) & (leaf < tree.end[near])
    assert inside[drawn[leaf == empty]].all()


def test_shrinkage_draws_from_around_as_often_as_it_says():
    """A leaf of k donors is left with probability shrink / (k + shrink), and its own may come back from above."""
    codes = np.array([[0] * 40 + [1] * 60], np.int32)
    target = codes[0] + 1
    tree = grow(Sample(codes, target), Target(np.eye(3), True), (0,), np.array([True]), [2], 10, 0)
    held = Conditional.filled(tree, codes, np.arange(100), 1, False)
    drawn = held.draw(np.zeros((1, 40_000), np.int32), 10.0, np.random.default_rng(1))
    expected = 10 / (40 + 10) * 60 / 100
    assert abs((drawn >= 40).mean() - expected) < 4 * np.sqrt(expected / 40_000)
