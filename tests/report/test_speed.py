"""MFU and part of the bound of a step, from numbers that can be counted by hand."""

from types import SimpleNamespace

import pytest

from learner_jax.backbones.flops import Layer
from learner_jax.batch import BatchSpec
from learner_jax.report.speed import efficiency

H100 = SimpleNamespace(device_kind="NVIDIA H100 80GB HBM3")  # 989e12 operations and 3.0e12 bytes a second


def layers(spec):
    return [Layer("product", spec.b * 10**12, 10**6), Layer("reduction", 0, spec.b * 10**9)]


def test_of_one_device():
    reached = efficiency(layers, BatchSpec(16, 1, 32, 32, 1), 1, [H100])
    flops, least = 3 * 16e12, 3 * (16e12 / 989e12 + 2 * 16e9 / 3.0e12)
    assert reached(0.2) == {"mfu": pytest.approx(flops / 0.2 / 989e12), "of_bound": pytest.approx(least / 0.2)}


def test_devices_share_the_batch_and_copies_are_scans_too():
    one, two = (efficiency(layers, BatchSpec(16, 1, 32, 32, 1), n, [H100] * n) for n in (1, 2))
    assert one(0.2) == two(0.2)


def test_nothing_is_said_of_a_device_whose_peak_is_not_known_or_where_layers_are_frozen():
    def never(spec):
        raise AssertionError("tracing takes seconds")

    assert efficiency(never, BatchSpec(16, 1, 32, 32, 1), 1, [SimpleNamespace(device_kind="cpu")])(0.2) == {}
    assert efficiency(never, BatchSpec(16, 1, 32, 32, 1), 1, [H100], freeze="conv1/*")(0.2) == {}
