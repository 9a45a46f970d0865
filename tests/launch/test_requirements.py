"""The pins for TPU and GPU hosts: those of the suite, and their own few."""

import pytest

from tests.launch.stand_ins import ROOT


def pins(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize(("kind", "own"), [("tpu", ("libtpu",)), ("gpu", ("jax-cuda12-", "nvidia-"))])
def test_a_host_has_what_the_suite_was_run_with(kind, own):
    more = pins(f"requirements-{kind}.txt") - pins("requirements.txt")
    assert more
    assert [line for line in more if not line.startswith(own)] == []
