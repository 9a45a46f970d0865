"""MViTv2-S beside torchvision's, also on grids that its tables were not made for."""

import functools

import numpy as np
import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def _net(spec):
    import torch

    from tests.backbones.published import mvit_v2_s

    torch.manual_seed(1)
    net = mvit_v2_s(spec.t, spec.h, spec.w)
    net.head = torch.nn.Identity()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias") or "rel_pos" in name:
                parameter.normal_(0, 0.1)
    for part in net.modules():
        if type(part).__name__ == "StochasticDepth":
            part.p = 0.0
    return net


@pytest.mark.parametrize("spec", [BatchSpec(2, 4, 64, 64, 3), BatchSpec(1, 10, 32, 32, 3)])
def test_mvit_equals_torchvision(spec):
    from tests.backbones.parity import TRANSFORMER, compare

    net = _net(spec)
    compare("mvitv2_s", "torchvision", net, net, spec, bound=TRANSFORMER)


@pytest.mark.parametrize("spec", [BatchSpec(1, 6, 96, 64, 3), BatchSpec(1, 12, 60, 76, 3)])
def test_tables_of_another_grid_are_resized_as_torchvision_does(spec):
    # the sides of both grids are odd somewhere, and the strides of keys do not divide them
    import jax
    import jax.numpy as jnp
    import torch

    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import TRANSFORMER

    net, published = _net(spec).eval(), _net(BatchSpec(1, 8, 64, 64, 3))
    for name, parameter in published.named_parameters():
        part, leaf = name.rsplit(".", 1)
        setattr(net.get_submodule(part), leaf, parameter)
    backbone = backbones.create("mvitv2_s")
    names = backbone.names["torchvision"]
    tensors = {key: value.detach().numpy() for key, value in net.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, spec, names)
    variables = pretrained.convert(tensors, backbone, spec, names)

    scan = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        u, _ = apply(variables, jnp.asarray(scan), jnp.ones(spec.b, bool))
    v = net(torch.from_numpy(np.moveaxis(scan, -1, 1).copy())).detach().numpy()
    assert np.abs(u - v).max() <= TRANSFORMER * np.abs(v).max()
