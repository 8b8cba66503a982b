import numpy as np
import polars as pl
import pytest

from synthmill.generate.simulate.degradation import Degradation
from synthmill.generate.tabular.bootstrap import Bootstrap
from synthmill.generate.tabular.copula import Copula
from synthmill.generate.tabular.smote import Smote
from synthmill.refusal import Refusal
from synthmill.resample import Resampler

RNG = np.random.default_rng(0)
Y = np.where(np.arange(300) < 30, "rare", "common")
X = np.column_stack([RNG.normal(size=300) + 3 * (Y == "rare"), RNG.integers(0, 9, 300)])
FRAME = pl.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(int), "c": np.where(X[:, 1] > 4, "x", "y")})
LABEL = pl.Series("y", Y)


@pytest.mark.parametrize("generator", [Copula(), Smote(), Bootstrap()])
def test_classes_become_equal_and_real_rows_come_first(generator):
    x, y = Resampler(generator).fit_resample(FRAME, LABEL)
    assert x.schema == FRAME.schema
    assert x.head(300).equals(FRAME)
    assert y.head(300).equals(LABEL)
    assert dict(y.value_counts().iter_rows()) == {"rare": 270, "common": 270}
    assert x.filter(y == "rare")["a"].mean() > 2
    again = Resampler(generator).fit_resample(FRAME, LABEL)[0]
    assert again.equals(x)
    assert not Resampler(generator, seed=1).fit_resample(FRAME, LABEL)[0].equals(x)


def test_the_generator_given_is_left_alone():
    smote = Smote()
    Resampler(smote).fit_resample(FRAME, LABEL)
    assert smote.target is None
    assert smote.schema() == {}


def test_numpy_in_numpy_out():
    x, y = Resampler(Copula()).fit_resample(X, Y)
    assert isinstance(x, np.ndarray)
    assert x.dtype == X.dtype
    assert x.shape == (540, 2)
    assert y.dtype == Y.dtype
    assert set(np.unique(x[:, 1])) <= set(range(9))


def test_pandas_in_pandas_out():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(FRAME["c"].to_list())}, index=range(1000, 1300))
    x, y = Resampler(Copula()).fit_resample(frame, pd.Series(Y, name="y"))
    assert x.dtypes.equals(frame.dtypes)
    assert len(x) == len(y) == 540
    assert y.name == "y"


def test_strategies():
    def count(strategy):
        return dict(Resampler(Bootstrap(), strategy).fit_resample(FRAME, LABEL)[1].value_counts().iter_rows())

    assert count(0.5) == {"rare": 135, "common": 270}
    assert count({"rare": 40}) == {"rare": 40, "common": 270}
    assert count({"rare": 10}) == {"rare": 30, "common": 270}


def test_in_a_pipeline():
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression

    model = make_pipeline(Resampler(Smote()), LogisticRegression()).fit(X, Y)
    plain = LogisticRegression().fit(X, Y)
    assert (model.predict(X) == "rare").sum() > (plain.predict(X) == "rare").sum()


@pytest.mark.parametrize(
    ("resampler", "sentence"),
    [
        (Resampler(Degradation()), "Degradation cannot make rows of a given class"),
        (Resampler(Copula(), {"rar": 5}), "did you mean 'rare'"),
        (Resampler(Copula(), "minority"), "'minority' is not"),
    ],
)
def test_what_cannot_be_is_refused(resampler, sentence):
    with pytest.raises(Refusal, match=sentence):
        resampler.fit_resample(FRAME, LABEL)


def test_too_few_rows_is_said():
    one = pl.Series("y", ["rare"] + ["common"] * 299)
    with pytest.raises(Refusal, match="Smote made 0 of the 298 rows wanted of class 'rare'"):
        Resampler(Smote()).fit_resample(FRAME, one)
