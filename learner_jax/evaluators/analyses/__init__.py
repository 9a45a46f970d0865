"""Analyses beyond the scores of read-outs. A new one is a registered function, in a file that is imported here."""

from learner_jax.evaluators.analyses import ceiling, identity, labels, sets, subgroups, thresholds
from learner_jax.evaluators.analyses.api import Case, analyses

__all__ = ["Case", "analyses", "ceiling", "identity", "labels", "sets", "subgroups", "thresholds"]
