"""One line of a result, as the evaluator writes it and a report reads it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A scored quantity; what could not be computed is None, with the reason in ``note``, and never NaN."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_patients: int
    n_pairs: int | None  # None: this quantity is over observations, not pairs
    note: str = ""
    at: str = ""  # of a quantity with several values which one this is: a class, a bin, a threshold
