"""One row for each backbone: the scan that it is made for, and the published figures for it."""

import dataclasses
from typing import Any

from flax.traverse_util import flatten_dict

from learner_jax.batch import BatchSpec


@dataclasses.dataclass(frozen=True)
class Row:
    """What is known of a backbone.

    Attributes:
      shape: frames (or slices), height, width and channels of the scan that the figures are for.
      parameters: published number of parameters without the classifier, or the published implementation's own count.
      gflops: published operations of a forward pass for one scan, in 10^9, 2 for each multiply-add.
    """

    shape: tuple[int, int, int, int]
    parameters: int | None = None
    gflops: float | None = None

    @property
    def spec(self) -> BatchSpec:
        return BatchSpec(1, *self.shape)


ROWS = {
    # torchvision 0.28: parameters less the classifier's; multiply-adds of one frame times 8
    "tsn_resnet18": Row((8, 224, 224, 3), 11_689_512 - 513_000, 8 * 2 * 1.814),
    "tsm_resnet18": Row((8, 224, 224, 3), 11_689_512 - 513_000, 8 * 2 * 1.814),
    "tsm_past_resnet18": Row((8, 224, 224, 3), 11_689_512 - 513_000, 8 * 2 * 1.814),
    "tsn_resnet50": Row((8, 224, 224, 3), 25_557_032 - 2_049_000, 8 * 2 * 4.089),
    "tsm_resnet50": Row((8, 224, 224, 3), 25_557_032 - 2_049_000, 8 * 2 * 4.089),
    "tsm_past_resnet50": Row((8, 224, 224, 3), 25_557_032 - 2_049_000, 8 * 2 * 4.089),
    # torchvision 0.28's own figures: its parameters less the classifier's, and its multiply-adds
    "r3d18": Row((16, 112, 112, 3), 33_371_472 - 205_200, 2 * 40.697),
    "r2plus1d18": Row((16, 112, 112, 3), 31_505_325 - 205_200, 2 * 40.519),
    # ours alone
    "tsn_resnet18_narrow": Row((8, 112, 112, 1)),
    "tsm_resnet18_narrow": Row((8, 112, 112, 1)),
    "tsm_past_resnet18_narrow": Row((8, 112, 112, 1)),
}


def parameter_tree(variables: Any) -> str:
    """Path and shape of every parameter and statistic, a line each."""
    tree = flatten_dict(variables)
    return "".join(sorted(f"{'/'.join(path)} {' '.join(map(str, leaf.shape))}\n" for path, leaf in tree.items()))
