"""A view of the embeddings in a plane, along the two directions in which training embeddings vary most."""

import dataclasses

import numpy as np
import scipy.linalg
from jaxtyping import Float, Float64

from learner_jax.evaluators.blockwise import blocks, float64, unit

_TINY = 1e-12


@dataclasses.dataclass(frozen=True)
class Plane:
    """The first two principal directions of embeddings scaled to length 1, as cosine distance sees them."""

    mean: Float64[np.ndarray, " d"]
    axes: Float64[np.ndarray, "d 2"]

    @classmethod
    def of(cls, u: Float[np.ndarray, "n d"]) -> "Plane":
        """The plane of ``n`` embeddings; a direction that does not exist (``d = 1``, or all equal) is 0.

        The sign of a direction is the one that makes its largest component positive.
        """
        n, d = u.shape
        mean = sum((_unit(u[at]).sum(axis=0) for at in blocks(n)), np.zeros(d)) / max(n, 1)
        gram = np.zeros((d, d))
        for at in blocks(n):
            x = _unit(u[at]) - mean
            gram += x.T @ x
        squares, found = scipy.linalg.eigh(gram, subset_by_index=[max(d - 2, 0), d - 1])
        axes = np.zeros((d, 2))
        for to, at in enumerate(range(len(squares) - 1, -1, -1)):
            if squares[at] > _TINY * n:
                axis = found[:, at]
                axes[:, to] = axis * np.sign(axis[np.abs(axis).argmax()])
        return cls(mean, axes)

    def __call__(self, u: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m 2"]:
        """Coordinates in the plane."""
        places = [(_unit(u[at]) - self.mean) @ self.axes for at in blocks(len(u))]
        return np.concatenate([np.zeros((0, 2)), *places])


def _unit(u: np.ndarray) -> np.ndarray:
    return unit(float64(u))
