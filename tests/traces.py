"""What a trace of JAX's profiler holds."""

import warnings
from pathlib import Path

from jax.profiler import ProfileData


def traced_steps(folder: Path) -> list[int]:
    """Numbers of the steps that are marked ``train`` in the traces below a folder."""
    steps = set()
    with warnings.catch_warnings():
        # Python 3.13 tells of a type of jaxlib that it names no module; as an error, that ends the process
        warnings.filterwarnings("ignore", "builtin type .* has no __module__", DeprecationWarning)
        for path in folder.rglob("*.xplane.pb"):
            for plane in ProfileData.from_file(str(path)).planes:
                for line in plane.lines:
                    for event in line.events:
                        if event.name == "train":
                            steps |= {int(value) for name, value in event.stats if name == "step_num"}
    return sorted(steps)
