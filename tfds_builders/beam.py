"""Options for Apache Beam, an optional dependency that writes shards in parallel, here or on a cluster."""

from typing import Any

from tfds_builders.errors import InputError


def pipeline_options(text: str) -> Any:
    """Parse pipeline options such as ``runner=DirectRunner,direct_num_workers=2``; empty text means the DirectRunner.

    Returns:
      ``apache_beam.options.pipeline_options.PipelineOptions``.

    Raises:
      InputError: Apache Beam is not installed, or the text is not a comma-separated list of ``NAME=VALUE``.
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
