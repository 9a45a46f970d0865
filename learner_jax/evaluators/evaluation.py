"""Read-outs fitted on train and val -> everything that they score on test. Only :func:`score` sees test.

With ``config.eval.patients=val`` they are fitted on train alone and scored on val, and nothing sees test.
"""

import dataclasses
from collections.abc import Callable

from learner_jax.config import EvalConfig
from learner_jax.data.cohort import Cohort
from learner_jax.evaluators.analyses import Case, analyses
from learner_jax.evaluators.blockwise import pair_distance
from learner_jax.evaluators.names import PRIMARY
from learner_jax.evaluators.pairs import Observations, describe_no_pairs
from learner_jax.evaluators.predictions import Predictions, Truth, predict
from learner_jax.evaluators.quantities import FAMILIES
from learner_jax.evaluators.readouts import Context, Readout, fit, list_readouts
from learner_jax.evaluators.readouts.checks import check_embeddings
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.scoring import draws, estimate, rows
from learner_jax.evaluators.subsets import estimate_with_late
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

Sections = dict[str, list[Row]]
OF_A_READOUT = tuple(name for name in FAMILIES if name != "embedding")


@dataclasses.dataclass(frozen=True)
class Fitting:
    """Fitted read-outs, and the observations that they were fitted on."""

    readouts: dict[str, Readout]  # by name, the primary one first
    notes: dict[str, str]  # by name, why a read-out does not apply, or a warning
    train: Observations
    val: Observations


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All scores of one encoder.

    Attributes:
      fitting: the read-outs.
      scored: the observations that were scored, labeled or not, in canonical order.
      predictions: of their pairs, by the primary read-out.
      sections: rows by section: each read-out by its name, the embedding, and each analysis.
      notes: by section, why it is missing or what must be known about it.
      patients: who was scored, ``test`` or ``val``.
    """

    fitting: Fitting
    scored: Observations
    predictions: Predictions
    sections: Sections
    notes: dict[str, str]
    patients: str


def chosen_readouts(names: str) -> list[str]:
    """Read-outs beside the primary one, from ``all``, ``none`` or names separated by commas.

    Raises:
      InputError: an unknown name; lists the possible ones.
    """
    others = [name for name in list_readouts() if name != PRIMARY]
    if names in ("all", "none"):
        return others if names == "all" else []
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in others:
            choices = [*others, "all", "none"]
            raise InputError(
                f"config.eval.readouts names {name!r}; {suggest(name, choices)}. Set --config.eval.readouts=…"
            )
    return chosen


def fit_readouts(
    names: list[str],
    train: Observations,
    val: Observations,
    context: Context,
    spec: dict,
    between: Callable[[], None] = lambda: None,
) -> Fitting:
    """Fit the primary read-out and those named, calling ``between`` before each.

    Raises:
      InputError: as :func:`readouts.fit` does.
    """
    readouts, notes = {}, {}
    for name in (PRIMARY, *names):
        between()
        fitted = fit(name, train, val, context)
        if isinstance(fitted, str):
            notes[name] = fitted
            continue
        readouts[name] = dataclasses.replace(fitted, spec=spec)
        if fitted.warning:
            notes[name] = fitted.warning
    return Fitting(readouts, notes, train, val)


def score(
    fitting: Fitting,
    scored: Observations,
    config: EvalConfig,
    cohort: Cohort | None = None,
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score fitted read-outs on the observations of patients whom they were not fitted on.

    Args:
      fitting: its primary read-out defines pairs and changes, since it was fitted to them.
      scored: observations of the patients that ``config.patients`` names, in any order.
      config: ``bootstrap``, ``interval``, ``confidence`` and what the analyses need.
      cohort: with it, the embedding itself and the analyses are scored too; None: only read-outs (for a floor).
      between: called before each read-out and each analysis.

    Raises:
      InputError: embeddings that are not finite, or whose width is not that of the read-outs.
    """
    check_embeddings(scored, config.patients)
    primary, notes, scored = fitting.readouts[PRIMARY], dict(fitting.notes), scored.sorted()
    truth = Truth.of(scored, primary.pairs, primary.order, primary.change_threshold)
    if len(truth) == 0:
        notes["fine_pairs"] = describe_no_pairs(scored, primary.pairs)
    if truth.n_patients == 0:
        notes["scores"] = f"no {config.patients} observation carries the score, so there is nothing to score"
        return Evaluation(fitting, scored, predict(primary, truth), {PRIMARY: []}, notes, config.patients)
    sections, resampling = {}, draws(truth.n_patients, config)
    predictions = predict(primary, truth, pair_distance(truth.observations.u, truth.first, truth.second))
    for name, readout in fitting.readouts.items():
        between()
        of_this = predictions if name == PRIMARY else predict(readout, truth)
        sections[name] = rows(estimate_with_late(of_this, resampling, config, OF_A_READOUT), config)
    if cohort is not None:
        sections["embedding"] = rows(estimate(predictions, resampling, ["embedding"]), config)
        case = Case(
            config=config,
            train=fitting.train,
            val=fitting.val,
            readout=primary,
            truth=truth,
            predictions=predictions,
            resampling=resampling,
            views=cohort.views,
            sites=cohort.sites,
            site=cohort.site,
        )
        for name in analyses.list():
            between()
            answer = analyses.get(name)(case)
            if isinstance(answer, str):
                notes[name] = answer
            else:
                sections[name] = rows(answer, config)
    return Evaluation(fitting, scored, predictions, sections, notes, config.patients)
