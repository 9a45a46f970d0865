"""What a trace of JAX's profiler holds."""

from pathlib import Path

from jax.profiler import ProfileData


def traced_steps(folder: Path) -> list[int]:
    """Numbers of the steps that are marked ``train`` in the traces below a folder."""
    steps = set()
    for path in folder.rglob("*.xplane.pb"):
        for plane in ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    if event.name == "train":
                        steps |= {int(value) for name, value in event.stats if name == "step_num"}
    return sorted(steps)
