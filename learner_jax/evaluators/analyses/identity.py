"""Identity: does the embedding tell who was scanned, and where, besides how the patient is?"""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.blockwise import blocks, unit
from learner_jax.evaluators.quantities.api import by_patient
from learner_jax.evaluators.readouts.ridge import Ridges
from learner_jax.evaluators.scoring import Estimate, estimate_means

_BLOCK = 1024
_TIED = 1e-6  # of two cosines in float32


@register("identity")
def identity(case: Case) -> list[Estimate] | str:
    """Patient and site, as read off the embedding.

    * ``patient_identified``: for test observations of patients with several visits, how often the nearest other
      observation (cosine) is of the same patient, equally near ones counting in equal parts; ``patient_chance`` is what
      random embeddings would reach;
    * ``site_identified``: recall of the site by a ridge regression on one-hot sites, fitted on training observations,
      as the mean over test sites that occur in training; ``site_chance`` is one over their number. The interval
      resamples patients with their recalls.
    """
    return [*_patients(case), *_sites(case)] or "no patient has two visits, and all scans are of one site"


def _patients(case: Case) -> list[Estimate]:
    seen, patient = case.truth.observations, case.truth.patient_of
    several = np.bincount(patient)[patient] > 1
    if not several.any() or case.truth.n_patients < 2:
        return []
    direction, same = unit(seen.u), np.zeros(len(seen))
    for at in blocks(len(seen), _BLOCK):
        cosine = direction[at] @ direction.T
        np.fill_diagonal(cosine[:, at], -np.inf)  # an observation is not its own neighbour
        nearest = cosine >= cosine.max(1, keepdims=True) - _TIED
        same[at] = (nearest & (patient[at, None] == patient)).sum(1) / nearest.sum(1)
    chance = (np.bincount(patient)[patient] - 1) / (len(patient) - 1)
    width = case.resampling.width
    sums = {
        "patient_identified": by_patient(np.stack([same * several, several], 1), patient, width),
        "patient_chance": by_patient(np.stack([chance * several, several], 1), patient, width),
    }
    return estimate_means(sums, dict.fromkeys(sums, (len(np.unique(patient[several])), None)), case.resampling)


def _sites(case: Case) -> list[Estimate]:
    site = case.site
    train = case.train.sorted()
    own, theirs = (site[np.array([rows[0] for rows in part.rows], int)] for part in (train, case.truth.observations))
    known = np.intersect1d(own, theirs)
    if len(known) < 2:
        return []
    names, code = np.unique(own, return_inverse=True)
    fitted = Ridges.from_embeddings(train.u).fit_many(np.eye(len(names))[code])
    predicted = names[np.stack([one.scores(case.truth.observations.u) for one in fitted], axis=1).argmax(1)]
    tested = np.isin(theirs, known)
    # for the mean of recalls, an observation of a rare site weighs more
    weight = tested / np.maximum(np.bincount(theirs, minlength=len(case.sites))[theirs], 1) / len(known)
    patient, width = case.truth.patient_of, case.resampling.width
    sums = {
        "site_identified": by_patient(np.stack([(predicted == theirs) * weight, weight], 1), patient, width),
        "site_chance": by_patient(np.stack([weight / len(known), weight], 1), patient, width),
    }
    return estimate_means(sums, dict.fromkeys(sums, (len(np.unique(patient[tested])), None)), case.resampling)
