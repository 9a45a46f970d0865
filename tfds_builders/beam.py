"""Apache Beam behind its extra: shards as tasks of a pipeline, on this machine or on a cluster."""

from typing import Any

from tfds_builders.errors import InputError


def pipeline_options(text: str) -> Any:
    """Options of a pipeline from ``runner=DirectRunner,direct_num_workers=2``; empty: the DirectRunner.

    Raises:
      InputError: Apache Beam is not installed, or the text is not a list of ``name=value``.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError("--beam needs Apache Beam; install it with: pip install 'learner-jax[beam]'") from error
    pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise InputError(f"--beam has {pair!r}; it takes NAME=VALUE,…, as in runner=DirectRunner")
    return PipelineOptions([f"--{pair}" for pair in pairs])
