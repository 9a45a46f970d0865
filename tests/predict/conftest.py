"""Files to predict from, for a run on simulated scans."""

from pathlib import Path

import av
import numpy as np
import pytest

from learner_jax.data.source import Records
from learner_jax.predict.api import Opened
from learner_jax.predict.run import open_run


@pytest.fixture(scope="session")
def files(trained, dataset, tmp_path_factory) -> tuple[Path, Path]:
    """Two of the run's own simulated clips as videos of a lossless codec."""
    folder = tmp_path_factory.mktemp("files")
    opened = Opened(open_run(trained), dataset)
    records = Records(dataset, opened.cohort.scan_ids).read(np.arange(2))
    paths = tuple(folder / f"day{day}.avi" for day in (1, 5))
    for path, record in zip(paths, records, strict=True):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.height, stream.width, stream.pix_fmt = 32, 32, "gray"
            for frame in record["scan"][..., 0]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
            container.mux(stream.encode())
    return paths
