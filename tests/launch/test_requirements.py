"""The pins for TPU and GPU hosts: those of the suite, and their own few."""

import pytest

from tests.launch.stand_ins import ROOT


def pins(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize(
    ("kind", "own"), [("tpu", {"libtpu", "gcsfs"}), ("gpu", {"jax-cuda12-plugin", "nvidia-nccl-cu12"})]
)
def test_a_host_has_what_the_suite_was_run_with(kind, own):
    package = lambda line: line.partition("==")[0]  # noqa: E731
    suite, host = pins("requirements.txt"), pins(f"requirements-{kind}.txt")
    assert own <= {package(line) for line in host - suite}
    assert {package(line) for line in host - suite} & {package(line) for line in suite} == set()
