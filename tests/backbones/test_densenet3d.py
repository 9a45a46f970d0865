"""DenseNet of pictures as torchvision publishes it, and as it has it once loaded."""

import re

import numpy as np
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec

# what torchvision's densenet.py looks for in a published file, and joins
SPLIT = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))(\d)(\.(?:weight|bias|running_mean|running_var))$")


def test_the_published_file_fits_as_what_is_loaded_from_it_does():
    backbone, spec = backbones.create("densenet3d-test"), BatchSpec(1, 32, 32, 32, 1)
    loaded = {}
    for leaves in backbone.shapes(spec).values():
        for path, leaf in flatten_dict(leaves, sep="/").items():
            (name,), _ = backbone.names["torchvision"].of(path)
            shape = leaf.shape if len(leaf.shape) == 1 else (leaf.shape[-1], leaf.shape[-2], *leaf.shape[1:-2])
            loaded[name] = np.zeros(shape, np.float32)
    published = {SPLIT.sub(r"\1.\2\3", name): tensor for name, tensor in loaded.items()}
    assert "features.denseblock1.denselayer1.conv.1.weight" in published
    found = {}
    for names, tensors in (("torchvision", loaded), ("torchvision, its file", published)):
        found[names] = pretrained.differences(tensors, backbone, spec, backbone.names[names])
    assert found == {"torchvision": [], "torchvision, its file": []}
