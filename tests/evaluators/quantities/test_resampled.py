"""For every family, drawing patients by counts equals repeating them that often."""

import numpy as np
import pytest

from learner_jax.evaluators.quantities import FAMILIES


@pytest.mark.parametrize("order", ["all", "consecutive"])
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "embedding"])
def test_counts_are_copies(said, values, copies, family, order):
    one = said(seed=3, patients=14, visits=5, views=1, unlabeled=0.2, order=order)
    one.truth.observations.score.setflags(write=False)
    drawn = np.random.default_rng(1).multinomial(
        one.truth.n_patients, np.full(one.truth.n_patients, 1 / one.truth.n_patients)
    )
    found, expected = values(one, family, drawn), values(copies(one, drawn), family)
    if family in ("psychometric", "probability"):  # bins are those of the whole sample
        found = {k: v for k, v in found.items() if k in ("noticed_change", "brier", "log_loss")}
        expected = {k: expected[k] for k in found}
    assert set(found) == set(expected)
    if family == "coarse":  # copies of one patient are never compared with each other
        found.pop("coarse_c_index")
    for name, value in found.items():
        assert value == pytest.approx(
            expected[name], rel=2e-3 if name == "noticed_change" else 1e-5, abs=2e-6, nan_ok=True
        ), name


@pytest.mark.parametrize("family", list(FAMILIES))
def test_scale_of_scores_changes_no_number_without_a_unit(said, values, family):
    one = said(seed=5, patients=10, visits=4, views=1)
    units = {"delta_mae", "score_mae", "minimal_detectable_change", "noticed_change"}
    before = values(one, family)
    scores = one.truth.observations.score * 10
    seen = type(one.truth.observations)(**{**one.truth.observations.__dict__, "score": scores})
    truth = type(one.truth).of(seen, "visits", "all", 20.0)
    fields = {**one.__dict__, "truth": truth, "delta": one.delta * 10, "scores": one.scores * 10}
    after = values(type(one)(**fields), family)
    for name, value in before.items():
        if isinstance(name, tuple) and name[0] == "accuracy_by_size":
            continue
        times = 10 if name in units or str(name).startswith("bland") else 1
        assert after[name] == pytest.approx(
            times * value, rel=2e-3 if name == "noticed_change" else 1e-4, abs=1e-5, nan_ok=True
        ), name
