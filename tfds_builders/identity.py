"""Keyed hashes, which stand for a patient, a site and a scan once these have left their source.

Without the key, nobody can recompute a hash from a guessed identifier, as would be possible with a plain hash. The key
is kept outside data and work folders; a dataset stores only the key's fingerprint.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import unicodedata
from pathlib import Path

from tfds_builders.errors import InputError

ENVIRONMENT = "LEARNER_KEY_FILE"
DEFAULT_FILE = Path("~/.config/learner_jax/identity.key")

# Synthetic patients have no identity to protect; with a public key their dataset is byte-identical on every machine.
PUBLIC_KEY = b"learner_jax: synthetic cohorts protect nobody"


def composed(name: str) -> str:
    """A name in the form that is hashed (Unicode NFC): ü is two characters on a Mac, one in a spreadsheet."""
    return unicodedata.normalize("NFC", name)


def patient_hash(key: bytes, source: str, patient: str) -> str:
    """Hash of a patient: an id *within a source*, so the same id in two sources is two people."""
    return _hash(key, "patient", source, patient)


def site_hash(key: bytes, source: str, site: str) -> str:
    """Hash of a site within a source; all scans of a source that state no site have the same one."""
    return _hash(key, "site", source, site)


def scan_hash(key: bytes, scan: str) -> str:
    """Hash of a scan's path, as it is written in the cohort CSV."""
    return _hash(key, "scan", scan)


def fingerprint(key: bytes) -> str:
    """The part of a key that may be stored: 16 hex digits that tell keys apart without revealing them."""
    return _hash(key, "fingerprint")


def keyed_digest(key: bytes, data: bytes) -> str:
    """HMAC-SHA256 of ``data``, 64 hex digits."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _make(path: Path) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
    print(f"made a new identity key: {path} (keep it private and backed up; hashes can be made only with it)")


def _hash(key: bytes, *words: str) -> str:
    # Lengths in front: ("ab", "c") and ("a", "bc") must differ. 64 bits: one collision expected among 5e9 patients.
    text = "".join(f"{len(word)}:{word}" for word in words)
    return keyed_digest(key, text.encode("utf-8"))[:16]


def key_file(given: Path | str | None = None) -> Path:
    """``given`` (--key_file), else the environment's LEARNER_KEY_FILE, else ~/.config/learner_jax/identity.key."""
    return Path(given or os.environ.get(ENVIRONMENT) or DEFAULT_FILE).expanduser()


def load_key(path: Path, data_dir: Path) -> bytes:
    """Read the key, 32 bytes as 64 hex digits; where there is none, make a random one that only its owner can read.

    Raises:
      InputError: the key would lie inside ``data_dir``, cannot be read or written, or is not 64 hex digits.
    """
    if path.resolve().is_relative_to(data_dir.resolve()):
        raise InputError(
            f"the key file {path} lies inside the data folder {data_dir}, and whoever gets the data would get the key; "
            f"choose another place with --key_file or {ENVIRONMENT}"
        )
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):  # another build made it in the meantime
                _make(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file.

    Raises:
      InputError: it cannot be read, or is not 64 hex digits.
    """
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise InputError(
            f"the key file {path} does not hold 64 hex digits; name the right file with --key_file or {ENVIRONMENT}, "
            "or move this one away and a new key is made"
        )
    return key


def _unusable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"the key file {path} cannot be used ({error.strerror}); name another with --key_file or {ENVIRONMENT}"
    )
