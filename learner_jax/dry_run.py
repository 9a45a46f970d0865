"""What a run would need, without running it: compile its step for the devices at hand."""

import jax

from learner_jax.assembly import Parts, assemble
from learner_jax.compiled_step import compiled
from learner_jax.config import Config
from learner_jax.data.cached import cache_bytes, check_fits
from learner_jax.distributed import first
from learner_jax.placement import describe
from learner_jax.report.speed import PEAKS, TRAINING, bound, of_one_device
from learner_jax.start import initial

_MIB, _GIGA = 2**20, 1e9


def dry_run(config: Config) -> None:
    """Print mesh, memory and time of a run's step; reads the dataset's tables and the weights to start from, no scan.

    Raises:
      InputError: whatever the run itself would refuse before its first step, except for what its workdir holds.
    """
    parts = assemble(config)
    initial(parts)
    if config.data.cache == "device":
        check_fits(parts.reader, parts.mesh)
    lines = needs(parts)
    if first():
        print("\n".join(lines))


def needs(parts: Parts) -> list[str]:
    """What the step needs, as lines for the user. Memory is XLA's own account of the compiled step, for one device."""
    config, mesh, shapes = parts.config, parts.mesh, parts.state_shapes()
    device = mesh.devices.flat[0]
    memory = compiled(parts.recipe, shapes, parts.reader.shapes(config.batch_size, mesh)).memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    cache = cache_bytes(parts.reader) if config.data.cache == "device" else 0
    needed = held + cache + memory.temp_size_in_bytes + memory.generated_code_size_in_bytes
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    weights = sum(leaf.size for leaf in jax.tree.leaves(shapes.params))
    stored = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    processes = "1 process" if jax.process_count() == 1 else f"{jax.process_count()} processes"
    axes = ", ".join(f"{axis} {n}" for axis, n in mesh.shape.items())
    return [
        f"mesh         {axes}; {mesh.size} x {device.device_kind}, {processes}",
        *(f"cut          {line}" for line in describe(shapes.params, mesh)),
        f"parameters   {weights:,}",
        f"checkpoint   {stored / _MIB:,.1f} MiB",
        f"memory       {needed / _MIB:,.1f} MiB a device"
        + (f" of {limit / _MIB:,.0f}" if limit else "")
        + f": {held / _MIB:,.1f} state, batch and results, {memory.temp_size_in_bytes / _MIB:,.1f} while it computes"
        + (f", {cache / _MIB:,.1f} training scans" if cache else ""),
        *_speed(parts),
    ]


def _speed(parts: Parts) -> list[str]:
    """The model's operations per step and, on devices of known peak, the least time that its layers take."""
    mesh, kind = parts.mesh, parts.mesh.devices.flat[0].device_kind
    copies = parts.recipe.objective.n_augmentations
    own = of_one_device(parts.recipe.backbone.layers, parts.spec, copies, mesh.size)
    flops = TRAINING * sum(layer.flops for layer in own)
    line = f"model        {flops * mesh.size / _GIGA:,.1f} GFLOP a step, {parts.config.steps:,} steps"
    if kind not in PEAKS:
        return [line, f"time         unknown: learner_jax/report/speed.py has no peak of {kind!r}"]
    least = bound(own, PEAKS[kind])
    rate, hours = parts.spec.b / least, parts.config.steps * least / 3600
    return [line, f"time         at least {1e3 * least:.2f} ms a step, {rate:,.0f} examples/s, {hours:.2f} h in all"]
