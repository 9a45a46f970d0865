"""A cache of compiled programs on disk, so that a restarted or repeated command starts at once."""

import os
from pathlib import Path

import jax
from jax._src.lru_cache import LRUCache  # there is no public name for what writes JAX's cache

from learner_jax.bucket import is_remote

_put = LRUCache.put


def keep_compiled() -> None:
    """Cache what JAX compiles in ``~/.cache/learner_jax``, or where JAX_COMPILATION_CACHE_DIR says."""
    LRUCache.put = _put_whole
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "learner_jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))


def _put_whole(self: LRUCache, key: str, value: bytes) -> None:
    """Write an entry under a temporary name and rename it.

    JAX writes entries in place (0.10 to 0.12). Another process may then read a partial one, and a partial one that a
    kill or a full disk leaves behind is never replaced: every later start warns about it and compiles again.
    """
    if self.eviction_enabled or is_remote(self.path):  # JAX locks the former; in a bucket, writes are atomic
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
