"""One backbone beside its published PyTorch implementation: outputs, gradients, batch statistics, counts.

Both nets get the same random weights, through the same map of names that published weights go through. Everything is
float32 at the highest precision of products. The bounds are of the largest difference over the largest value.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec

CONVOLUTION, TRANSFORMER = 1e-5, 5e-5  # of outputs, by kind of net
GRADIENT = 1e-4


@dataclasses.dataclass(frozen=True)
class Found:
    """Largest differences over largest values; ``stats`` is None where there are no batch statistics."""

    name: str
    library: str
    parameters: int
    output: float
    trained_output: float
    gradient: float
    stats: float | None

    def __str__(self) -> str:
        stats = "–" if self.stats is None else f"{self.stats:.1e}"
        cells = (self.name, self.library, f"{self.parameters:,}", f"{self.output:.1e}", f"{self.gradient:.1e}", stats)
        return f"| {' | '.join(cells)} |"


def compare(
    name: str,
    library: str,
    module: Any,
    embed: Callable[[Any], Any],
    spec: BatchSpec,
    bound: float = CONVOLUTION,
    heads: tuple[str, ...] = (),
    seed: int = 0,
    double: bool = False,
) -> Found:
    """Hold a backbone to a ``torch.nn.Module`` and assert every bound.

    Args:
      name: of the backbone.
      library: key of ``Backbone.names``.
      module: the published net, with any weights; its batch statistics are drawn anew.
      embed: ``scan as torch [b c t h w] -> embedding [b d]``, a closure over ``module``, classifier left out.
      spec: shape of the scans that both see.
      bound: of the outputs.
      heads: prefixes of the module's parameters that the embedding does not use, such as ``fc.``.
      seed: of scans, statistics and the direction in which the gradient is taken.
      double: compare training in float64. PyTorch's float32 sums over a whole volume are off by 6e-4 of a mean, and the
        batch norms of a ResNet-50 make 1e-4 of a rounding, in both libraries alike (November 2026).
    """
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    _draw_statistics(module, rng)
    backbone = backbones.create(name)
    names = backbone.names[library]
    tensors = {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}
    faults = pretrained.differences(tensors, backbone, spec, names)
    assert not faults, "\n".join(faults)
    variables = pretrained.convert(tensors, backbone, spec, names)

    ours = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    theirs = sum(p.numel() for key, p in module.named_parameters() if not key.startswith(heads))
    assert ours == theirs, f"{ours:,} parameters here, {theirs:,} in {library}"

    scan = rng.normal(size=spec.shape).astype(np.float32)
    mask = np.ones(spec.b, bool)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(scan, -1, 1)))
    scan, mask = jnp.asarray(scan), jnp.asarray(mask)

    with jax.default_matmul_precision("highest"):
        module.eval()
        u = jax.jit(functools.partial(backbone.apply, train=False))(variables, scan, mask)[0]
        v = embed(x)
        output = _apart(u, v.detach().numpy())
        assert u.shape == (spec.b, backbone.dim) == tuple(v.shape)

    with jax.default_matmul_precision("highest"), jax.enable_x64(double):
        module.train()
        trained, seen, shown = variables, scan, x
        if double:
            module.double()
            trained = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
            seen, shown = scan.astype(jnp.float64), x.double()
        with torch.no_grad():
            v = embed(shown)
        u, stats = jax.jit(functools.partial(backbone.apply, train=True))(trained, seen, mask)
        trained_output = _apart(u, v.numpy())
        after = {key: value.detach().numpy() for key, value in module.state_dict().items()}
        moved = pretrained.convert(after, backbone, spec, names)["stats"]
        stats = max(jax.tree.leaves(jax.tree.map(_apart, stats, moved)), default=None)

    module.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    direction = rng.normal(size=u.shape)
    with jax.enable_x64(True):
        gradient = _gradients_apart(backbone, variables, module.double().eval(), embed, scan, x, direction, names)

    found = Found(name, library, ours, output, trained_output, gradient, stats)
    print(found)
    assert output <= bound, f"outputs differ by {output:.1e} of the largest"
    assert gradient <= GRADIENT, f"gradients differ by {gradient:.1e} of the largest"
    assert trained_output <= 10 * bound, f"outputs in training differ by {trained_output:.1e} of the largest"
    assert stats is None or stats <= GRADIENT, f"batch statistics differ by {stats:.1e} of the largest"
    return found


def _apart(ours: Any, theirs: np.ndarray) -> float:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    assert theirs.any()
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _gradients_apart(
    backbone: Any, variables: Any, module: Any, embed: Any, scan: Any, x: Any, direction: np.ndarray, names: Any
) -> float:
    """Largest difference in the gradient of any parameter over the largest gradient of that parameter, in float64.

    In float32 rounding puts one of a million activations on the other side of a ReLU's edge now and then: of four draws
    of ResNet-18, three differ from float64 by 2e-6 and one by 4e-4, in both libraries alike (November 2026). A gradient
    that is nothing but rounding (a bias before a norm, the bias of keys) is compared with the thousandth part of the
    largest of all.
    """
    import torch

    module.zero_grad()
    (embed(x.double()) * torch.from_numpy(direction)).sum().backward()
    tensors = {key: value.detach().numpy() for key, value in module.state_dict().items()}
    for key, parameter in module.named_parameters():
        tensors[key] = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
    spec = BatchSpec(*scan.shape)
    theirs = flatten_dict(pretrained.convert(tensors, backbone, spec, names)["params"])

    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
    mask = jnp.ones(spec.b, bool)

    def loss(params: Any) -> jax.Array:
        u, _ = backbone.apply({**variables, "params": params}, scan.astype(jnp.float64), mask, train=False)
        return (u * direction).sum()

    ours = flatten_dict(jax.jit(jax.grad(loss))(variables["params"]))
    least = max(np.abs(leaf).max() for leaf in theirs.values()) / 1000
    return max(
        float(np.abs(np.asarray(leaf) - theirs[path]).max() / max(np.abs(theirs[path]).max(), least))
        for path, leaf in ours.items()
    )


def _draw_statistics(module: Any, rng: np.random.Generator) -> None:
    import torch

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.running_mean.copy_(torch.from_numpy(rng.normal(0, 0.1, part.num_features).astype(np.float32)))
                part.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, part.num_features).astype(np.float32)))
                part.weight.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, part.num_features).astype(np.float32)))
                part.bias.copy_(torch.from_numpy(rng.normal(0, 0.1, part.num_features).astype(np.float32)))
