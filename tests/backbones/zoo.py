"""One row for each backbone: the scan that it is made for, and the published figures for it."""

import dataclasses
from typing import Any

import pytest
from flax.traverse_util import flatten_dict

from learner_jax.backbones.api import backbones
from learner_jax.batch import BatchSpec

TINY = [name for name in backbones.list() if name.endswith("-test")]


def one_of_each_family(names: list[str]) -> list:
    """The names as parameters of a test of seconds: all but the first of each file are marked slow."""
    first = {backbones.get(name).func.__module__: name for name in reversed(names)}.values()
    return [name if name in first else pytest.param(name, marks=pytest.mark.slow) for name in names]


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
    # timm 1.0.31: parameters less the classifier's, and multiply-adds of its convolutions, counted by PyTorch, times 8.
    # Published, at 224, 240 and 260: 4.7, 5.4 and 6.1 million parameters and 407, 631 and 899 million multiply-adds,
    # with 1.3 million of each in the classifier and 5 % in what is no convolution, such as 3 a normalised element
    "tsn_efficientnet_lite0": Row((8, 224, 224, 3), 4_652_008 - 1_281_000, 8 * 2 * 0.383908),
    "tsm_efficientnet_lite0": Row((8, 224, 224, 3), 4_652_008 - 1_281_000, 8 * 2 * 0.383908),
    "tsm_past_efficientnet_lite0": Row((8, 224, 224, 3), 4_652_008 - 1_281_000, 8 * 2 * 0.383908),
    "tsn_efficientnet_lite1": Row((8, 240, 240, 3), 5_416_680 - 1_281_000, 8 * 2 * 0.598905),
    "tsm_efficientnet_lite1": Row((8, 240, 240, 3), 5_416_680 - 1_281_000, 8 * 2 * 0.598905),
    "tsm_past_efficientnet_lite1": Row((8, 240, 240, 3), 5_416_680 - 1_281_000, 8 * 2 * 0.598905),
    "tsn_efficientnet_lite2": Row((8, 260, 260, 3), 6_092_072 - 1_281_000, 8 * 2 * 0.858456),
    "tsm_efficientnet_lite2": Row((8, 260, 260, 3), 6_092_072 - 1_281_000, 8 * 2 * 0.858456),
    "tsm_past_efficientnet_lite2": Row((8, 260, 260, 3), 6_092_072 - 1_281_000, 8 * 2 * 0.858456),
    # timm 1.0.31's parameters without a head; multiply-adds of one frame by Touvron et al. (DeiT), table 5
    "vit_s16": Row((8, 224, 224, 3), 21_665_664, 8 * 2 * 4.6),
    "vit_b16": Row((8, 224, 224, 3), 85_798_656, 8 * 2 * 17.6),
    # torchvision 0.28's own figures: its parameters less the classifier's, and its multiply-adds
    "mvitv2_s": Row((16, 224, 224, 3), 34_537_744 - 769 * 400, 2 * 64.224),
    "swin3d_t": Row((16, 224, 224, 3), 28_158_070 - 769 * 400, 2 * 43.882),
    "swin3d_s": Row((16, 224, 224, 3), 49_816_678 - 769 * 400, 2 * 82.841),
    "swin3d_b": Row((16, 224, 224, 3), 88_048_984 - 1025 * 400, 2 * 140.667),
    # MONAI 1.6.1's own parameters, and its operations by torch's FlopCounterMode: with the stem's stride of 2 that
    # MedicalNet has they are an eighth of those with MONAI's default of 1
    "resnet3d_10": Row((128, 128, 128, 1), 14_355_520, 35.635),
    "resnet3d_18": Row((128, 128, 128, 1), 32_986_176, 62.696),
    "resnet3d_34": Row((128, 128, 128, 1), 63_295_808, 107.995),
    "resnet3d_50": Row((128, 128, 128, 1), 46_155_072, 81.068),
    "resnet3d_18b": Row((128, 128, 128, 1), 33_160_000, 62.814),
    "resnet3d_34b": Row((128, 128, 128, 1), 63_469_632, 108.112),
    "densenet3d_121": Row((128, 128, 128, 1), 11_242_624, 85.803),
    # the paper's 3 million less the classifier's 2,600; operations of the same net in PyTorch
    "sfcn": Row((160, 192, 160, 1), 2_950_336, 131.654),
    # no figures in the paper; those of the same net in PyTorch
    "lilac_cnn3d": Row((128, 128, 128, 1), 97_584, 12.910),
    # pytorchvideo 0.1.5's parameters without the classifier; multiply-adds by the paper (1.96 and 4.73 at these sizes)
    "x3d_s": Row((13, 160, 160, 3), 3_794_274 - 819_600, 2 * 1.96),
    "x3d_m": Row((16, 224, 224, 3), 3_794_274 - 819_600, 2 * 4.73),
    # pytorchvideo 0.1.5's parameters without the classifier; multiply-adds by its model zoo and the paper (65.7)
    "slowfast_r50": Row((32, 256, 256, 3), 34_566_488 - 922_000, 2 * 65.71),
    # transformers 5.24's parameters before the classifier; operations by Tong et al. (VideoMAE), table 6 and appendix
    "videomae_vit_s": Row((16, 224, 224, 3), 21_879_936, 2 * 57),
    "videomae_vit_b": Row((16, 224, 224, 3), 86_227_200, 2 * 180),
    "videomae_vit_l": Row((16, 224, 224, 3), 303_860_736, 2 * 597),
    # MONAI 1.6.1's parameters less its head and 12 idle norms of 1536; PyTorch's FlopCounterMode over MONAI's net
    "vit3d_b16": Row((96, 96, 96, 1), 88_341_504, 39.956),
    "vit3d_b16_first": Row((96, 96, 96, 1), 88_340_736, 39.771),
    "vit3d_b16_mean": Row((96, 96, 96, 1), 88_340_736, 39.771),
    # MONAI 1.6.1's count of its SwinTransformer, and PyTorch's FlopCounterMode over it; the paper counts the decoder
    "swin_unetr": Row((96, 96, 96, 1), 8_062_002, 49.854),
    "swin_unetr_monai09": Row((96, 96, 96, 1), 8_062_002, 49.854),
    # ours alone
    "tsn_resnet18_narrow": Row((8, 112, 112, 1)),
    "tsm_resnet18_narrow": Row((8, 112, 112, 1)),
    "tsm_past_resnet18_narrow": Row((8, 112, 112, 1)),
}


def parameter_tree(variables: Any) -> str:
    """Path and shape of every parameter and statistic, a line each."""
    tree = flatten_dict(variables)
    return "".join(sorted(f"{'/'.join(path)} {' '.join(map(str, leaf.shape))}\n" for path, leaf in tree.items()))
