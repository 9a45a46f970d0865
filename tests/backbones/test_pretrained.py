"""Files that do not fit are answered with a list of what differs, whatever the shapes of their tensors."""

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec
from tfds_builders.errors import InputError

# tensors that are joined, cut or resized when they are loaded, one of each kind: (backbone, library, ours, theirs)
ADAPTED = [
    ("mvitv2-test", "torchvision", "blocks/0/attn/rel_pos_h", "blocks.0.attn.rel_pos_h"),
    ("resnet3d50-test", "torchvision", "conv1/kernel", "conv1.weight"),
    (
        "swin_unetr-test",
        "MONAI, SwinTransformer",
        "layers1/blocks/0/attn/relative_position_bias_table",
        "layers1.0.blocks.0.attn.relative_position_bias_table",
    ),
    (
        "videomae-test",
        "transformers",
        "blocks/0/attn/qkv/kernel",
        "videomae.encoder.layer.0.attention.attention.key.weight",
    ),
    ("vit-test", "timm", "pos_embed", "pos_embed"),
    ("vit-test", "timm", "cls_pos", "pos_embed"),
    ("vit3d-test", "monai", "pos_embed", "patch_embedding.position_embeddings"),
]
SHAPES = [(), (3,), (2, 3), (2, 3, 5), (1, 4, 5, 6), (2, 3, 1, 1, 7), (0, 4)]


@pytest.mark.parametrize(("name", "library", "path", "source"), ADAPTED, ids=lambda value: value.split(".")[-1])
def test_a_tensor_of_any_other_shape_is_a_line_of_the_list(name, library, path, source, monkeypatch):
    backbone, spec = backbones.create(name), BatchSpec(1, 4, 32, 32, 1)
    ours = flatten_dict(backbone.shapes(spec)["params"], sep="/")
    sources, _ = backbone.names[library].of(path)
    assert source in sources
    monkeypatch.setattr(
        pretrained, "_shapes", lambda *_: {f"params/{path}": ours[path].shape}
    )  # of one path, for speed
    width = ours[path].shape[-2]
    for shape in SHAPES:
        tensors = {other: np.zeros((width, width), np.float32) for other in sources}
        tensors[source] = np.zeros(shape, np.float32)
        lines = pretrained.differences(tensors, backbone, spec, backbone.names[library])
        assert len(lines) == 1, shape
        assert lines[0].startswith("  other shape ")
        assert source in lines[0]
        assert lines[0].endswith(f"->  params/{path} [{' '.join(map(str, ours[path].shape))}]")


def test_a_file_with_fewer_keys_than_queries_is_refused_with_their_shapes(tmp_path):
    backbone, spec = backbones.create("videomae-test"), BatchSpec(1, 2, 32, 32, 3)
    names, tensors = backbone.names["transformers"], {}
    for path, leaf in flatten_dict(backbone.shapes(spec)["params"], sep="/").items():
        sources, _ = names.of(path)
        for source in sources:
            axes = (-1, -2, *range(len(leaf.shape) - 2)) if path.endswith("kernel") else range(len(leaf.shape))
            shape = [leaf.shape[axis] for axis in axes]
            tensors[source] = np.zeros([shape[0] // len(sources), *shape[1:]], np.float32)
    save_file(tensors, tmp_path / "w.safetensors")
    pretrained.load(tmp_path / "w.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)
    key = "videomae.encoder.layer.0.attention.attention.key.weight"
    tensors[key] = np.ascontiguousarray(tensors[key][:, :16])
    save_file(tensors, tmp_path / "w.safetensors")
    sentence = (
        rf"by the names of transformers:\n  other shape .*query.weight \[32 32\], .*{key} \[32 16\], .*qkv/kernel"
    )
    with pytest.raises(InputError, match=sentence):
        pretrained.load(tmp_path / "w.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("conv1.weight", lambda x: x.astype(np.int8), "is of type int8"),
        ("conv1.weight", lambda x: x > 0, "is of type bool"),
        ("conv1.weight", lambda x: np.where(x > 0, np.nan, x), "has numbers that are not finite"),
        ("bn1.bias", lambda x: x + np.inf, "has numbers that are not finite"),
        ("bn1.running_var", lambda x: x - 2, "has negative variances"),
    ],
)
def test_numbers_that_cannot_be_weights_are_refused(tmp_path, name, change, said):
    backbone, spec = backbones.create("tsn_resnet18-test"), BatchSpec(1, 2, 32, 32, 3)
    names, tensors = backbone.names["torchvision"], {}
    for path, leaf in flatten_dict(backbone.shapes(spec), sep="/").items():
        (source,), _ = names.of(path.partition("/")[2])
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(leaf.shape), range(len(leaf.shape)))
        tensors[source] = np.ones([leaf.shape[axis] for axis in axes], np.float32)
    save_file(tensors, tmp_path / "w.safetensors")
    pretrained.load(tmp_path / "w.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)
    tensors[name] = change(tensors[name])
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=f"  no weights  {name} {said}  ->  "):
        pretrained.load(tmp_path / "w.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)
