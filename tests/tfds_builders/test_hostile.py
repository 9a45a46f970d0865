"""Hostile and broken files: a named error each, soon and at no cost. ``python -m tests.tfds_builders.hostile`` prints
the table."""

import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tfds_builders.hostile.files import CASES, KINDS, VOLUMES, Case, sound, zeros
from tests.tfds_builders.hostile.trial import Trial

NAMED = {"UnreadableScan", "UnsupportedScan", "TooLarge"}
SECONDS, MIB = 5, 256


@pytest.fixture(scope="module")
def trial():
    with Trial() as process:
        yield process


def assert_cheap(got: dict) -> None:
    assert not got["signal"], "crashed, or had to be killed"
    assert got["seconds"] <= SECONDS
    assert got["mib"] <= MIB


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_by_a_named_error_soon_and_at_no_cost(case: Case, trial, tmp_path):
    got = trial.read(case.reader, case.make(tmp_path), case.unprivileged)
    assert_cheap(got)
    if case.harmless:
        assert not got["error"], got
    else:
        assert got["error"] in ({"InputError"} if case.reader == "cohort" else NAMED), got


@pytest.mark.parametrize("wbits", [31, 15, -15])
def test_bombs_are_sound_streams(wbits):
    """A damaged one would be refused for that, and nothing learned."""
    packed = zeros(1 << 24, wbits, b"head")
    assert zlib.decompress(packed, wbits) == b"head" + bytes(1 << 24)
    assert len(packed) < 1 << 15


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_sound_is_read(suffix, trial, tmp_path):
    got = trial.read("volume" if suffix in VOLUMES else "clip", sound(tmp_path, suffix))
    assert not got["error"], got


place = st.floats(0, 1, exclude_max=True)
damage = st.one_of(
    st.tuples(st.just("cut"), place, st.just(b"")),
    st.tuples(st.just("write"), place, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("write at the start"), st.floats(0, 0.02), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=300)),
    st.tuples(st.just("remove"), place, st.binary(min_size=1, max_size=300)),
    st.tuples(st.just("repeat"), place, st.binary(min_size=1, max_size=300)),
)


def damaged(content: bytes, what: str, part: float, given: bytes) -> bytes:
    at = int(part * len(content))
    head, tail = content[:at], content[at:]
    return {
        "cut": head,
        "write": head + given + tail[len(given) :],
        "write at the start": head + given + tail[len(given) :],
        "insert": head + given + tail,
        "remove": head + tail[len(given) :],
        "repeat": head + tail[: len(given)] * 50 + tail,
    }[what]


@pytest.fixture(scope="module")
def content_of(tmp_path_factory) -> Callable[[str], bytes]:
    folder = tmp_path_factory.mktemp("sound")
    files = {suffix: sound(folder, suffix) for suffix in KINDS}
    return lambda suffix: files[suffix].read_bytes()  # not the bytes: hypothesis shows the arguments of what fails


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(KINDS), damages=st.lists(damage, min_size=1, max_size=4))
def test_damage_of_any_kind_is_read_or_named(suffix, damages, trial, content_of, tmp_path):
    content = content_of(suffix)
    for one in damages:
        content = damaged(content, *one)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    got = trial.read("volume" if suffix in VOLUMES else "clip", path)
    assert_cheap(got)
    assert got["error"] in {"", *NAMED}, got
