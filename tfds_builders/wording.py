"""Phrases that many messages use."""

import difflib
from collections.abc import Iterable, Sequence


def suggest(name: str, options: Iterable[str]) -> str:
    """``did you mean 'x'? possible: a, b, x``, the second half of an error about an unknown name."""
    options = sorted(options)
    near = difflib.get_close_matches(str(name), options, n=1)
    possible = f"possible: {', '.join(options)}" if options else "nothing is possible here"
    return f"did you mean {near[0]!r}? {possible}" if near else possible


def first_few(texts: Sequence[str], most: int) -> list[str]:
    """The first ``most`` texts followed by ``and 3 more``, or all of them where there are no more."""
    return [*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])]


def plural(count: int, noun: str) -> str:
    """``1 scan``, ``2 scans``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
