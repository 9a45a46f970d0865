"""Against statistics packages (extra `parity`): pingouin, lifelines, statsmodels."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pingouin = pytest.importorskip("pingouin")
concordance_index = pytest.importorskip("lifelines.utils").concordance_index
multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
cohens_kappa = pytest.importorskip("statsmodels.stats.inter_rater").cohens_kappa

from learner_jax.evaluators.quantities.three_way import CELLS  # noqa: E402
from learner_jax.evaluators.statistics.multiple import holm  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.fixture
def one(said):
    return said(seed=4, patients=20, visits=5, views=1, unlabeled=0.1)


def test_repeated_measures_correlation_is_pingouins(one, values):
    truth = one.truth
    several = np.bincount(truth.patient_of)[truth.patient_of] > 1
    table = pd.DataFrame({"p": truth.patient_of, "x": truth.observations.score.astype(float), "y": one.scores})[several]
    expected = float(pingouin.rm_corr(table, "x", "y", "p")["r"].iloc[0])
    assert values(one, "order")["rm_correlation"] == pytest.approx(expected, abs=1e-6)


def test_icc_is_pingouins_of_two_fixed_raters(one, values):
    k = len(one.delta)
    table = pd.DataFrame(
        {
            "pair": np.tile(np.arange(k), 2),
            "rater": np.repeat(["true", "predicted"], k),
            "value": np.concatenate([one.truth.delta, one.delta]),
        }
    )
    icc = pingouin.intraclass_corr(table, "pair", "rater", "value").set_index("Type")["ICC"]
    expected = icc["ICC3"] if "ICC3" in icc else icc["ICC(C,1)"]
    assert values(one, "amount")["delta_icc"] == pytest.approx(float(expected), abs=1e-6)


def test_c_index_of_one_patient_and_between_patients_is_lifelines(said, values):
    alone = said(seed=2, patients=1, visits=9, views=1)
    expected = concordance_index(alone.truth.observations.score, alone.scores)
    assert values(alone, "order")["c_index"] == pytest.approx(expected, abs=1e-6)
    between = said(seed=2, patients=40, visits=1, views=1)
    expected = concordance_index(between.truth.observations.score, between.scores)
    assert values(between, "coarse")["coarse_c_index"] == pytest.approx(expected, abs=1e-6)


def test_quadratic_kappa_is_statsmodels(one, values):
    found = values(one, "three_way")
    cells = np.array([found["confusion", cell] for cell in CELLS]).reshape(3, 3)
    assert found["quadratic_kappa"] == pytest.approx(cohens_kappa(cells, wt="quadratic").kappa, abs=1e-6)


def test_holm_is_statsmodels():
    p = np.random.default_rng(0).random(12) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
