"""Order within subgroups of the pairs: by gap in time, by first score, by site, by view."""

from collections.abc import Iterator

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.scoring import Estimate
from learner_jax.evaluators.subsets import of_subset

_THIRDS = ("lowest third", "middle third", "highest third")
_MOST = 20  # with more sites or views than this, they are not scored one by one


@register("subgroups")
def subgroups(case: Case) -> list[Estimate] | str:
    """Order over the pairs of each subgroup; of a site or view, both observations of a pair belong to it.

    Thirds, of the gap in days and of the pair's first score, hold equally many scored pairs. Those of the first score
    show regression to the mean: a patient who starts low mostly rises.
    """
    truth = case.truth
    if len(truth) == 0:
        return "no fine pairs"
    return [
        one for label, which in _subgroups(case) for one in of_subset(case.predictions, which, label, case.resampling)
    ]


def _subgroups(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    truth, seen = case.truth, case.truth.observations
    if truth.mode == "visits":
        yield from _thirds("gap", truth.days(), truth.scored)
    yield from _thirds("first score", seen.score[truth.first].astype(np.float64), truth.scored)
    row = np.array([rows[0] for rows in seen.rows])
    for what, names, code in (("site", case.sites, case.site[row]), ("view", case.views, seen.view)):
        values = np.unique(code[code >= 0])
        if 1 < len(values) <= _MOST:
            for value in values:
                label = f"{what} {names[value][:8] if what == 'site' else names[value]}"
                yield label, (code[truth.first] == value) & (code[truth.second] == value)


def _thirds(what: str, value: np.ndarray, scored: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if np.isnan(value).any() or len(np.unique(value[scored])) < 3:
        return
    which = np.searchsorted(np.quantile(value[scored], [1 / 3, 2 / 3]), value, "left")
    for third, name in enumerate(_THIRDS):
        yield f"{what}: {name}", which == third
