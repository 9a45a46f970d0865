"""Read-outs fitted on train and val -> everything that they score on test. Here, and only here, test is opened.

With ``config.eval.patients=val`` they are fitted on train alone and scored on val, and test stays closed.
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
    """Read-outs by name, the primary one first; why others do not apply; and the observations behind them."""

    readouts: dict[str, Readout]
    notes: dict[str, str]
    train: Observations
    val: Observations


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything that one encoder scored.

    Attributes:
      fitting: of the read-outs.
      scored: the observations that were scored, labeled or not, in the one order.
      predictions: of their pairs, by the primary read-out.
      sections: rows of each read-out by its name, of the embedding, and of each analysis.
      notes: why a section is not there, or what must be known of it, by name.
      patients: who was scored, ``test`` or ``val``.
    """

    fitting: Fitting
    scored: Observations
    predictions: Predictions
    sections: Sections
    notes: dict[str, str]
    patients: str


def chosen_readouts(names: str) -> list[str]:
    """Read-outs beside the primary one: of ``all``, ``none``, or names with commas between.

    Raises:
      InputError: an unknown name, with those there are.
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
    """Fit the primary read-out and those named, with a call of ``between`` before each.

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
      fitting: what a pair and a change are comes from its primary read-out, which was fitted for them.
      scored: those of the patients that ``config.patients`` names, in any order.
      config: ``bootstrap``, ``interval``, ``confidence`` and what the analyses need.
      cohort: asks for the analyses too, and for the embedding's own section; None: the read-outs alone (a floor).
      between: called before each read-out and each analysis.

    Raises:
      InputError: embeddings that are not finite or of another width than the read-outs'.
    """
    check_embeddings(scored, config.patients)
    primary, notes, scored = fitting.readouts[PRIMARY], dict(fitting.notes), scored.sorted()
    truth = Truth.of(scored, primary.pairs, primary.order, primary.change_threshold)
    if len(truth) == 0:
        notes["fine_pairs"] = describe_no_pairs(scored, primary.pairs)
    if truth.n_patients == 0:
        notes["scores"] = f"no {config.patients} observation carries the score, so there is nothing to score"
        return Evaluation(fitting, scored, predict(primary, truth), {PRIMARY: []}, notes, config.patients)
    u, sections = truth.observations.u, {}
    said = predict(primary, truth, pair_distance(u, truth.first, truth.second))
    resampling = draws(truth.n_patients, config)
    for name, readout in fitting.readouts.items():
        between()
        of_this = said if name == PRIMARY else predict(readout, truth)
        sections[name] = rows(estimate_with_late(of_this, resampling, config, OF_A_READOUT), config)
    if cohort is not None:
        sections["embedding"] = rows(estimate(said, resampling, ["embedding"]), config)
        places = (cohort.views, cohort.sites, cohort.site)
        case = Case(config, fitting.train, fitting.val, primary, truth, said, resampling, *places)
        for name in analyses.list():
            between()
            answer = analyses.get(name)(case)
            if isinstance(answer, str):
                notes[name] = answer
            else:
                sections[name] = rows(answer, config)
    return Evaluation(fitting, scored, said, sections, notes, config.patients)
