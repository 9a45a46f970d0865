"""Read-outs turn the embeddings of two observations of one patient into a signed change.

``fit(name, train, val, context)`` fits one, ``list_readouts()`` names them. ``ridge`` is the primary one of every run.
"""

from learner_jax.evaluators.readouts import (  # noqa: F401  they register themselves
    heads,
    knn,
    linear,
    mlp,
    reference,
    ridge,
)
from learner_jax.evaluators.readouts.api import (
    Compared,
    Context,
    Fitted,
    Model,
    Readout,
    fit,
    list_readouts,
    register,
)
from learner_jax.evaluators.readouts.checks import check_embeddings

__all__ = [
    "Compared",
    "Context",
    "Fitted",
    "Model",
    "Readout",
    "check_embeddings",
    "fit",
    "list_readouts",
    "register",
]
