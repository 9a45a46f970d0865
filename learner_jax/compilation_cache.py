"""Compiled programs kept on disk, so that a restarted or repeated command starts at once."""

import os
from pathlib import Path

import jax
from jax._src.lru_cache import LRUCache  # what writes its cache has no public name

from learner_jax.bucket import is_remote

_put = LRUCache.put


def keep_compiled() -> None:
    """Keep what JAX compiles in ``~/.cache/learner_jax``, unless JAX_COMPILATION_CACHE_DIR names another place."""
    LRUCache.put = _put_whole
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "learner_jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))


def _put_whole(self: LRUCache, key: str, value: bytes) -> None:
    """Write beside the entry and rename.

    JAX writes it in place (0.10 to 0.12): another process may read a part, and what a kill or a full disk leaves of it
    is never replaced, so that each later start warns of it and compiles anew.
    """
    if self.eviction_enabled or is_remote(self.path):  # it locks; objects of a bucket are written whole
        return _put(self, key, value)
    entry = Path(self.path) / f"{key}-cache"
    if entry.exists():
        return None
    beside = entry.with_name(f".{key}.{os.getpid()}")
    try:
        beside.write_bytes(value)
        beside.replace(entry)
    finally:
        beside.unlink(missing_ok=True)
    return None
