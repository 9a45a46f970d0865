"""How close a step comes to what its device can do: model FLOPs utilisation, and the share of the roofline bound.

Peaks are for *dense* bfloat16 products. Vendors also print one for sparse products, twice as high; a utilisation
measured against that means nothing. Memory bandwidth is what a large copy achieves.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from learner_jax.backbones.flops import Layer
from learner_jax.batch import BatchSpec
from tfds_builders.errors import InputError

TRAINING = 3  # passes over a layer: forward, gradient of its input, gradient of its parameters


@dataclasses.dataclass(frozen=True)
class Peak:
    """The peak of one device, as JAX counts devices.

    Attributes:
      flops: dense bfloat16 operations per second.
      bandwidth: bytes per second to and from its memory that a large copy achieves.
    """

    flops: float
    bandwidth: float


# By `jax.Device.device_kind`. Operations are from the vendors' data sheets. Bandwidth was measured with copies on A100
# (2.04 TB/s in its data sheet), H100 (3.35) and H200 (4.8), and is 90 % of the data sheet for TPUs. A TPU v3 chip has
# two devices.
PEAKS = {
    "NVIDIA A100-SXM4-40GB": Peak(312e12, 1.4e12),
    "NVIDIA A100-SXM4-80GB": Peak(312e12, 1.7e12),
    "NVIDIA H100 80GB HBM3": Peak(989e12, 3.0e12),
    "NVIDIA H200": Peak(989e12, 4.3e12),
    "TPU v3": Peak(61.5e12, 0.41e12),
    "TPU v4": Peak(275e12, 1.1e12),
    "TPU v5 lite": Peak(197e12, 0.75e12),
    "TPU v5e": Peak(197e12, 0.75e12),
    "TPU v5": Peak(459e12, 2.5e12),
    "TPU v5p": Peak(459e12, 2.5e12),
    "TPU v6 lite": Peak(918e12, 1.5e12),
    "TPU v6e": Peak(918e12, 1.5e12),
}


def peak(kind: str) -> Peak:
    """The peak of a kind of device.

    Raises:
      InputError: the kind is not listed; with a guessed peak, every percentage would be a guess.
    """
    if kind not in PEAKS:
        raise InputError(
            f"no peak is known for {kind!r}; known: {', '.join(PEAKS)}. Add it in learner_jax/report/speed.py"
        )
    return PEAKS[kind]


def mfu(flops: float, seconds: float, peak: Peak, devices: int = 1) -> float:
    """Model FLOPs utilisation: ``flops / (seconds * peak.flops * devices)``.

    The operations that the model needs, over those that the devices could do in that time. Recomputed layers do not
    count: in training, ``flops`` is ``TRAINING`` times those of the forward pass.
    Chowdhery et al. (PaLM), arXiv 2204.02311, appendix B.
    """
    return flops / (seconds * peak.flops * devices)


def bound(layers: Iterable[Layer], peak: Peak, passes: int = TRAINING, width: int = 2) -> float:
    """The roofline bound: the least seconds that one device needs for these layers, with ``width`` bytes per number.

    ``passes * sum over layers of max(flops / peak, bytes / bandwidth)``: a layer waits for the slower of arithmetic and
    memory, and layers wait for one another. Each of the two gradients of a layer takes as many operations and bytes as
    its forward pass. Williams, Waterman and Patterson (2009), doi 10.1145/1498765.1498785.
    """
    return passes * sum(max(layer.flops / peak.flops, width * layer.numbers / peak.bandwidth) for layer in layers)


def of_one_device(
    layers: Callable[[BatchSpec], list[Layer]], spec: BatchSpec, copies: int, devices: int
) -> list[Layer]:
    """The layers of the backbone, for the share of a global batch that one of ``devices`` devices computes."""
    return layers(dataclasses.replace(spec, b=-(-spec.b * copies // devices)))


def efficiency(
    layers: Callable[[BatchSpec], list[Layer]], spec: BatchSpec, copies: int, devices: Iterable[Any], freeze: str = ""
) -> Callable[[float], dict[str, float]]:
    """A function from the seconds of a training step to ``mfu`` and ``of_bound``.

    Only the backbone's passes are counted, not the objective or the augmentation. The function returns nothing if the
    peak of the devices is unknown, or if layers are frozen and so only a part of the backward pass remains.

    Args:
      layers: of the backbone.
      spec: of the global batch.
      copies: augmented copies of each scan that the backbone sees.
      devices: all devices that share the batch, of one kind.
      freeze: ``config.optim.freeze``.
    """
    devices = list(devices)
    one = PEAKS.get(devices[0].device_kind)
    if one is None or freeze:
        return lambda seconds: {}
    own = of_one_device(layers, spec, copies, len(devices))
    flops, least = float(TRAINING * sum(layer.flops for layer in own)), bound(own, one)
    return lambda seconds: {"mfu": mfu(flops, seconds, one), "of_bound": least / seconds}
