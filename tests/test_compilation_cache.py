"""The cache of compiled programs: where it is, and that its entries are whole."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from jax._src.lru_cache import LRUCache

from learner_jax.compilation_cache import keep_compiled
from tests.command import ROOT


@pytest.fixture
def cache(tmp_path):
    keep_compiled()
    return LRUCache(str(tmp_path), max_size=-1)


def test_who_reads_while_another_writes_finds_all_or_nothing(cache):
    value = os.urandom(1 << 24)

    def read(key):
        while (found := cache.get(key)) is None:
            pass
        return found == value

    with ThreadPoolExecutor(1) as other:
        for key in map(str, range(10)):
            found = other.submit(read, key)
            cache.put(key, value)
            assert found.result(60)


def test_a_write_that_fails_leaves_nothing(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        cache.put("key", b"value")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_is_written_once(cache, tmp_path):
    cache.put("key", b"first")
    cache.put("key", b"second")
    assert cache.get("key") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key-cache"]


def test_a_program_is_found_again_in_the_home_folder(tmp_path):
    program = """
import jax
from learner_jax.compilation_cache import keep_compiled

keep_compiled()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
told = []
jax.monitoring.register_event_listener(lambda name, **_: told.append(name.rsplit("/", 1)[-1]))
jax.jit(lambda x: x + 1)(1.0)
print(told.count("cache_hits"), told.count("cache_misses"))
"""
    env = {
        name: value for name, value in os.environ.items() if name not in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")
    }
    run = lambda: subprocess.run(  # noqa: E731
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=env | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert run()[1] != "0"
    entries = sorted((tmp_path / ".cache/learner_jax").iterdir())
    assert entries
    assert run()[1] == "0"
    assert sorted((tmp_path / ".cache/learner_jax").iterdir()) == entries
