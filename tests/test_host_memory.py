"""Freed memory stays with the process: the kernel counts the page faults of a step."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import jax, jax.numpy as jnp
step = jax.jit(lambda x: (jnp.fft.fft(jnp.outer(x, x)).real @ x).sum())  # 61 MiB of temporary memory
x = jnp.ones(2000)
faults = []
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="options of glibc")
def test_a_repeated_step_takes_no_new_pages():
    def faults(first: str) -> int:
        done = subprocess.run([sys.executable, "-c", first + STEPS], capture_output=True, text=True, check=True)
        return int(done.stdout)

    kept, mapped = faults("from learner_jax.host_memory import keep_pages; assert keep_pages()\n"), faults("")
    assert mapped > 40 * 15_000
    assert kept < mapped / 2  # some, for a step may start before the one before it has given its memory back


def test_other_systems_stay_as_they_are(monkeypatch):
    from learner_jax.host_memory import keep_pages

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_pages() is False
