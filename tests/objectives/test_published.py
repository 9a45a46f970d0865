"""Against implementations that install from PyPI (extra `parity`)."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import objectives as objectives_benchmark

torch = pytest.importorskip("torch")
losses = pytest.importorskip("pytorch_metric_learning.losses")
coral_loss = pytest.importorskip("coral_pytorch.losses").coral_loss

pytestmark = pytest.mark.parity


def gradient(value, z):
    x = torch.tensor(z, requires_grad=True)
    loss = value(x)
    loss.backward()
    return loss.item(), x.grad.numpy()


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)


def test_rank_n_contrast_as_its_authors_wrote_it(make_batch, value_and_gradient_of):
    z, batch = objectives_benchmark.make_rows(48, 8, 20)
    value, slope = objectives_benchmark.published("rank_n_contrast", z, batch)()
    assert_same(value_and_gradient_of("rank_n_contrast", z, batch), (value, slope.numpy()))


def test_supcon(make_batch, value_and_gradient_of):
    batch, z = make_batch(32), np.random.default_rng(1).normal(size=(32, 8)).astype(np.float32)
    labels = torch.tensor(np.unique(batch.score, return_inverse=True)[1])
    theirs = gradient(lambda x: losses.SupConLoss(temperature=0.1)(x, labels), z)
    assert_same(value_and_gradient_of("supcon", z, batch, bins=100), theirs)


def test_simclr(make_batch, value_and_gradient_of):
    batch = make_batch(32, row=(np.arange(32) // 2).astype(np.int32))
    z = np.random.default_rng(2).normal(size=(32, 8)).astype(np.float32)
    theirs = gradient(lambda x: losses.NTXentLoss(temperature=0.1)(x, torch.tensor(batch.row)), z)
    assert_same(value_and_gradient_of("simclr", z, batch), theirs)


def test_siamese_margin(make_batch, value_and_gradient_of):
    batch = make_batch(32, patient=np.arange(32, dtype=np.int32))  # scores of five values, more than 0.5 SD apart
    z = np.random.default_rng(3).normal(size=(32, 8)).astype(np.float32)

    def hadsell(x):
        distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
        off = ~torch.eye(32, dtype=torch.bool)
        alike = torch.tensor(batch.score[:, None] == batch.score[None])
        return torch.where(alike, distance**2, (2 - distance).clamp(min=0) ** 2)[off].mean()

    assert_same(value_and_gradient_of("siamese_margin", z, batch), gradient(hadsell, z))


def test_coral(make_batch, value_and_gradient_of):
    batch, u = make_batch(32), np.random.default_rng(4).normal(size=(32, 8)).astype(np.float32)
    kernel, bias = (
        np.random.default_rng(5).normal(size=(8, 1)).astype(np.float32),
        np.linspace(1, -1, 9, dtype=np.float32),
    )
    place = np.clip(np.floor((batch.score / 4 + 0.5) * 10), 0, 9)
    levels = torch.tensor((place[:, None] >= np.arange(1, 10)).astype(np.float32))
    theirs = gradient(lambda x: coral_loss(x @ torch.tensor(kernel) + torch.tensor(bias), levels), u)
    head = {"thresholds": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}
    assert_same(value_and_gradient_of("coral", u, batch, params=head), theirs)
