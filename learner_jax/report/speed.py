"""How near a step comes to what its device can do: model FLOPs utilisation, and the part of the roofline bound.

The peaks are those of *dense* bfloat16 products: vendors also print one for sparse ones, twice as high, and a
utilisation measured against that means nothing. A chip's memory is taken at the rate that a large copy reaches.
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
    """Of one device as JAX counts them.

    Attributes:
      flops: dense bfloat16 operations a second.
      bandwidth: bytes a second to and from its memory that a large copy reaches.
    """

    flops: float
    bandwidth: float


# By `jax.Device.device_kind`. Operations: the vendors' data sheets. Bandwidth: copies measured on A100 (of 2.04 TB/s by
# its data sheet), H100 (3.35) and H200 (4.8); nine tenths of the data sheet for TPUs. A TPU v3 has two devices a chip.
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
      InputError: for a kind that is not listed: a guess would make every percentage a guess.
    """
    if kind not in PEAKS:
        raise InputError(
            f"no peak is known of {kind!r}, but of: {', '.join(PEAKS)}. Add it in learner_jax/report/speed.py"
        )
    return PEAKS[kind]


def mfu(flops: float, seconds: float, peak: Peak, devices: int = 1) -> float:
    """Model FLOPs utilisation: operations that the model needs, over those that the devices could do in that time.

    Recomputed layers do not count: ``flops`` is ``TRAINING`` times those of the forward pass in training.
    Chowdhery et al. (PaLM), arXiv 2204.02311, appendix B.
    """
    return flops / (seconds * peak.flops * devices)


def bound(layers: Iterable[Layer], peak: Peak, passes: int = TRAINING, width: int = 2) -> float:
    """Seconds below which one device cannot go, layer by layer, ``width`` bytes a number.

    ``passes sum over layers max(flops / peak, bytes / bandwidth)``: a layer waits for the slower of arithmetic and
    memory, and the layers wait for each other. The gradients of a layer do its operations twice more and move as many
    bytes twice more. Williams, Waterman and Patterson (2009), doi 10.1145/1498765.1498785.
    """
    return passes * sum(max(layer.flops / peak.flops, width * layer.numbers / peak.bandwidth) for layer in layers)


def of_one_device(
    layers: Callable[[BatchSpec], list[Layer]], spec: BatchSpec, copies: int, devices: int
) -> list[Layer]:
    """The layers of the backbone for the part of a global batch that one of so many devices computes."""
    return layers(dataclasses.replace(spec, b=-(-spec.b * copies // devices)))


def efficiency(
    layers: Callable[[BatchSpec], list[Layer]], spec: BatchSpec, copies: int, devices: Iterable[Any], freeze: str = ""
) -> Callable[[float], dict[str, float]]:
    """What a training step that takes so many seconds reaches: ``mfu`` and ``of_bound``, or nothing where the peak of
    its devices is not known, or layers are frozen, of whose backward pass only a part is left. The
    backbone's passes alone are counted, neither the objective nor the augmentation.

    Args:
      layers: of the backbone.
      spec: of the global batch.
      copies: augmented copies of each scan that the backbone sees.
      devices: all that share the batch, of one kind.
      freeze: ``config.optim.freeze``.
    """
    devices = list(devices)
    one = PEAKS.get(devices[0].device_kind)
    if one is None or freeze:
        return lambda seconds: {}
    own = of_one_device(layers, spec, copies, len(devices))
    flops, least = float(TRAINING * sum(layer.flops for layer in own)), bound(own, one)
    return lambda seconds: {"mfu": mfu(flops, seconds, one), "of_bound": least / seconds}
