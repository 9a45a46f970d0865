import stat
from pathlib import Path

import pytest

from tfds_builders import identity
from tfds_builders.errors import InputError

KEY, OTHER = bytes(32), bytes(range(32))


def test_a_patient_is_an_id_of_a_source():
    hashes = {identity.patient_hash(KEY, source, "7") for source in ("a", "b", "")}
    assert len(hashes) == 3
    assert identity.patient_hash(KEY, "ab", "c") != identity.patient_hash(KEY, "a", "bc")


def test_hashes_depend_on_kind_and_key_and_hide_the_id():
    kinds = identity.patient_hash(KEY, "", "x"), identity.site_hash(KEY, "", "x"), identity.scan_hash(KEY, "x")
    assert len(set(kinds)) == 3
    assert identity.patient_hash(OTHER, "", "x") != kinds[0]
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in kinds)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path, capsys):
    path = tmp_path / "config" / "identity.key"
    key = identity.load_key(path, tmp_path / "data")
    assert "made a new identity key" in capsys.readouterr().out
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert identity.load_key(path, tmp_path / "data") == key
    assert capsys.readouterr().out == ""
    assert identity.fingerprint(key) not in path.read_text()


def test_of_two_builds_that_come_first_one_makes_the_key(tmp_path, monkeypatch, capsys):
    path, made = tmp_path / "identity.key", []

    def not_yet(_):
        made.append(made or path.write_text("ab" * 32))  # the other one, right after this one has looked
        return False

    monkeypatch.setattr(Path, "exists", not_yet)
    assert identity.load_key(path, tmp_path / "data") == bytes.fromhex("ab" * 32)
    assert capsys.readouterr().out == ""


def test_the_key_stays_out_of_the_data(tmp_path):
    with pytest.raises(InputError, match=r"lies inside the data folder .*--key_file or LEARNER_KEY_FILE"):
        identity.load_key(tmp_path / "data" / "identity.key", tmp_path / "data")


@pytest.mark.parametrize("text", ["", "not hex", "ab" * 31])
def test_a_wrong_key_file_is_named(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(InputError, match="does not hold 64 hex digits"):
        identity.load_key(tmp_path / "key", tmp_path / "data")
    with pytest.raises(InputError, match="cannot be used"):
        identity.load_key(tmp_path, tmp_path / "data")


def test_the_flag_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("LEARNER_KEY_FILE", "/from/environment")
    assert str(identity.key_file("/from/flag")) == "/from/flag"
    assert str(identity.key_file()) == "/from/environment"
    monkeypatch.delenv("LEARNER_KEY_FILE")
    assert identity.key_file() == identity.DEFAULT_FILE.expanduser()
