"""What training took: how far each run is, how fast it was, where its time went, and what went wrong."""

from collections.abc import Sequence

from learner_jax.report import goodput
from learner_jax.report.health import Health
from learner_jax.report.ledger import ACCOUNTS
from learner_jax.report.runs import Run

HEAD = (
    "run",
    "state",
    "steps",
    "examples/s",
    "input wait",
    "MFU",
    "goodput",
    "wall time",
    "memory, host",
    "memory, device",
)
_NONE = "–"


def table(runs: Sequence[Run], looks: Sequence[Health]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header, and a row for each run with the health of its folder; columns without any value are left out."""
    rows = [_row(run, seen) for run, seen in zip(runs, looks, strict=True)]
    kept = [at for at in range(len(HEAD)) if any(row[at] != _NONE for row in rows)]
    return tuple(HEAD[at] for at in kept), [tuple(row[at] for at in kept) for row in rows]


def shares(runs: Sequence[Run]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Where the wall time of all processes of a run went, in percent; runs without a record are left out."""
    rows = []
    for run in (run for run in runs if run.lives):
        spent = goodput.total(run.lives)
        if spent.wall:
            rows.append((run.name, *(f"{100 * spent.seconds[account] / spent.wall:.0f} %" for account in ACCOUNTS)))
    return ("run", *ACCOUNTS.values()), rows


def warnings(runs: Sequence[Run], looks: Sequence[Health]) -> list[str]:
    """The warnings on each run's folder, except for a collapse, which is at the top of the page."""
    both = zip(runs, looks, strict=True)
    return [f"{run.name}: {one}." for run, seen in both for one in seen.warnings if one != run.collapse]


def _row(run: Run, seen: Health) -> tuple[str, ...]:
    last = run.lives[-1] if run.lives else None
    spent = goodput.total(run.lives) if run.lives else None
    return (
        run.name,
        seen.state,
        f"{seen.step} of {seen.steps}",
        _NONE if last is None or last.examples_per_second is None else f"{last.examples_per_second:.0f}",
        _share(last and last.input_wait),
        _share(last and last.mfu),
        _share(spent and spent.goodput),
        _duration(spent.wall) if spent else _NONE,
        _gigabytes(last and last.host_peak_bytes),
        _gigabytes(last and last.device_peak_bytes),
    )


def _share(part: float | None) -> str:
    return _NONE if part is None else f"{100 * part:.1f} %"


def _gigabytes(size: int | None) -> str:
    return f"{size / 2**30:.2f} GiB" if size else _NONE


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
