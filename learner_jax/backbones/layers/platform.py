"""Which kind of device a trace is for: the fastest formulation of an operation differs between them."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_COMPILER_OPTIONS = {
    # XLA turns a GPU's convolutions of three axes to channels first and back: 15 of the 59 ms of a step of R3D-18
    # (H200, November 2026)
    "gpu": {"xla_gpu_force_conv_nhwc": True},
    # of YNNPACK's the sums alone, 4 times as fast as XLA's own. Its convolutions of few pixels keep one core busy: a
    # step of TSM-ResNet-18 takes 773 ms on two cores with them and 661 ms without (November 2026)
    "cpu": {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
        # without the first a barrier is gone before the fusions are made that it shall keep apart
        # (layers/transformer.py). The second makes one function of a small loop and knows no barrier of two arrays:
        # XLA then ends the process (jaxlib 0.10.2 over loops of some KiB, 0.12.0.1 of 6 MB too)
        "xla_disable_hlo_passes": "cse_barrier_expander,small-while-loop-hoisting",
    },
    # parameters that are cut (`mesh.fsdp`) are gathered before their product and their gradient is summed after it, as
    # in Google's recipes. XLA would send them round in rings, part by part: 1.57 GiB of a chip instead of 0.80 for a
    # step of 3-D ResNet-18 on sixteen (libtpu 0.0.42.1, by its account, November 2026)
    "tpu": {"xla_jf_spmd_threshold_for_windowed_einsum_mib": 1_000_000},
}
_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def platform() -> str:
    """``cpu``, ``gpu``, ``tpu`` or what is given to :func:`tracing_for`, else of the process."""
    return _platform.get() or jax.default_backend()


def compiler_options() -> dict[str, bool | int | str]:
    """What ``jax.jit`` tells XLA of a backbone's passes on this kind of device."""
    return _COMPILER_OPTIONS.get(platform(), {})


@contextlib.contextmanager
def tracing_for(name: str) -> Iterator[None]:
    """Trace for another kind of device than this process has, as ahead-of-time compilation and tests do, or for
    ``any``: with formulations that are peculiar to none, as operations are counted."""
    token = _platform.set(name)
    try:
        yield
    finally:
        _platform.reset(token)
