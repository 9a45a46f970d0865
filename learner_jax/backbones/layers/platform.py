"""The kind of device that a trace is for, on which the fastest formulation of an operation depends."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_COMPILER_OPTIONS = {
    # By default XLA transposes convolutions over three axes to channels first and back: 15 of the 59 ms of a step of
    # R3D-18 (H200, November 2026)
    "gpu": {"xla_gpu_force_conv_nhwc": True},
    # Of YNNPACK only the sums, which are 4 times as fast as XLA's own. Its convolutions of few pixels use one core: a
    # step of TSM-ResNet-18 takes 773 ms on two cores with them and 661 ms without (November 2026).
    "cpu": {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
        # The first pass removes barriers before fusion, which they are there to prevent (layers/stored.py). The
        # second turns small loops into functions and cannot handle a barrier of two arrays: XLA then aborts (jaxlib
        # 0.10.2 for loops of some KiB, 0.12.0.1 also for 6 MB).
        "xla_disable_hlo_passes": "cse_barrier_expander,small-while-loop-hoisting",
    },
    # Gather sharded parameters (`mesh.fsdp`) before their product and sum their gradient after it, as in Google's
    # recipes. Otherwise XLA passes them around in rings, part by part: 1.57 GiB of a chip instead of 0.80 for a step of
    # 3-D ResNet-18 on sixteen (libtpu 0.0.42.1, by its account, November 2026).
    "tpu": {"xla_jf_spmd_threshold_for_windowed_einsum_mib": 1_000_000},
}
_platform: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def platform() -> str:
    """``cpu``, ``gpu`` or ``tpu``: what :func:`tracing_for` was given, or else the process's own."""
    return _platform.get() or jax.default_backend()


def compiler_options() -> dict[str, bool | int | str]:
    """Options for compiling a backbone's forward and backward pass on this kind of device."""
    return _COMPILER_OPTIONS.get(platform(), {})


@contextlib.contextmanager
def tracing_for(name: str) -> Iterator[None]:
    """Trace for another kind of device than this process has, as in ahead-of-time compilation and tests; or for
    ``any``, without formulations for particular devices, to count operations."""
    token = _platform.set(name)
    try:
        yield
    finally:
        _platform.reset(token)
