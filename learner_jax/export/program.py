"""From stored scans of two visits to delta, class and probabilities, as one function of arrays that JAX can export."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Float32, Shaped

from learner_jax import backbones
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.data.transforms import Fit, SampleFrames, fitted_size, resampling
from learner_jax.evaluators.intensities import Range
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.saliency import score_of
from learner_jax.predict.run import TrainedRun

PLATFORMS = ("cpu", "cuda", "tpu")

Pairs = Callable[[Array, Array, Array], dict[str, Array]]


def pairs(run: TrainedRun, variables: Any) -> Pairs:
    """``(scans [b 2 t h w c] as stored, scale [b 2], offset [b 2]) -> {name: [b …]}``, earlier scan first.

    ``delta``, ``low``, ``high`` (score units), ``change`` (-1, 0, 1), ``probability [b 3]``, ``abstain`` and ``unlike``
    (bool), as :mod:`learner_jax.predict` has them; NaN where the read-out was not calibrated.
    """
    data, spec, stored = run.config.data, run.readout.spec, run.readout.spec["stored"]
    backbone = backbones.create(run.config.backbone.name, run.config.backbone.norm)
    score = score_of(backbone, run.config, run.readout.model, variables)
    frames = SampleFrames(data.frames, jitter=stored["axis0"] == "time").pick(stored["scan_shape"][0], None)
    known = None if spec["intensity"] is None else Range.from_json(spec["intensity"]).widened

    def pair(scans: Array, scale: Array, offset: Array) -> dict[str, Array]:
        by, plus = (x.reshape(2, 1, 1, 1, 1) for x in (scale, offset))
        whole = scans.astype(jnp.float32) * by + plus
        seen = fit(scans[:, frames], Fit(data.size)) * by + plus
        scores = score(seen)
        found = decide(scores[1] - scores[0], run.readout)
        found["unlike"] = jnp.zeros((), bool)
        if known is not None:
            each = jnp.stack([whole.mean(axis=(1, 2, 3, 4)), whole.std(axis=(1, 2, 3, 4))], axis=1)
            low, high = (jnp.asarray(x, jnp.float32) for x in known)
            found["unlike"] = ~((low <= each) & (each <= high)).all()  # negated, so that NaN is unlike
        return found

    # each pair is a batch of two: backbones need a batch of known size, and that of `b` is not
    return jax.vmap(pair)


def fit(scan: Shaped[Array, "n t h w c"], into: Fit) -> Float32[Array, "n t size size c"]:
    """Do what :class:`~learner_jax.data.transforms.Fit` does on the host, in stored grey levels."""
    *_, height, width, _ = scan.shape
    h, w = fitted_size(height, width, into.size)
    planes = jnp.moveaxis(scan, -1, -3).astype(jnp.float32)
    if (h, w) != (height, width):
        exact = jax.lax.Precision.HIGHEST
        planes = jnp.einsum("ih,...hw,jw->...ij", resampling(height, h), planes, resampling(width, w), precision=exact)
        planes = jnp.rint(planes) if jnp.issubdtype(scan.dtype, jnp.unsignedinteger) else planes
    top, left = (into.size - h) // 2, (into.size - w) // 2
    edges = ((top, into.size - h - top), (left, into.size - w - left))
    planes = jnp.pad(planes, (*((0, 0),) * (planes.ndim - 2), *edges))
    return jnp.moveaxis(planes, -3, -1)


def decide(delta: Float[Array, ""], readout: Readout) -> dict[str, Array]:
    """The decision of a read-out without logits, with what its calibration promises."""
    decision, bound = readout.decision, readout.calibration
    change = jnp.where(jnp.abs(delta) > decision.threshold, jnp.sign(delta), 0).astype(jnp.int32)
    probability = jnp.full(3, jnp.nan)
    if bound.level is not None:
        up, down = (ndtr((x - decision.cut) / decision.temperature) for x in (delta, -delta))
        probability = jnp.stack([down, jnp.maximum(1 - (up + down), 0), up])
    held = jnp.zeros(3, bool) if bound.level is None else 1 - probability <= bound.level
    alone = (held.sum() == 1) & held[change + 1]
    width = np.nan if bound.half_width is None else bound.half_width
    return {
        "delta": delta,
        "low": delta - width,
        "high": delta + width,
        "change": change,
        "probability": probability,
        "abstain": ~alone,
    }


def exported(function: Pairs, shape: tuple[int, ...], dtype: str) -> export.Exported:
    """The function as StableHLO for any number of pairs, on a CPU, CUDA or a TPU.

    It is traced with the formulations for a CPU, so its numbers there are the same; elsewhere they are the same but for
    rounding. It reveals nothing about the machine that it is made on.
    """
    (b,) = export.symbolic_shape("b")
    number = jax.ShapeDtypeStruct((b, 2), jnp.float32)
    with tracing_for("cpu"), _without_files():
        return export.export(jax.jit(function), platforms=PLATFORMS)(
            jax.ShapeDtypeStruct((b, 2, *shape), dtype), number, number
        )


@contextlib.contextmanager
def _without_files() -> Iterator[None]:
    """Keep JAX from writing the source line of each operation, with the full path of its file, into the program."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*")
    try:
        yield
    finally:
        jax.config.update(name, before)
