"""Compiled programs kept on disk, so that a restarted or repeated command starts at once."""

import os
from pathlib import Path

import jax


def keep_compiled() -> None:
    """Keep what JAX compiles in ``~/.cache/learner_jax``, unless JAX_COMPILATION_CACHE_DIR names another place."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "learner_jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
