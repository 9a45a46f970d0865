"""A row of results, as the evaluator writes it and reports read it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A scored quantity. What could not be computed is None, never NaN, and ``note`` says why."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_patients: int
    n_pairs: int | None  # None for a quantity over observations instead of pairs
    note: str = ""
    at: str = ""  # which of a quantity's several values this is: a class, a bin, a threshold
