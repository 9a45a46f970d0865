"""What is asked beyond the scores of read-outs. A new analysis is a file (or a function in one) and an import here."""

from learner_jax.evaluators.analyses import ceiling, identity, labels, sets, subgroups, thresholds
from learner_jax.evaluators.analyses.api import Case, analyses

__all__ = ["Case", "analyses", "ceiling", "identity", "labels", "sets", "subgroups", "thresholds"]
