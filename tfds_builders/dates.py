"""What looks like a date, in words and numbers that are stored as they are written."""

import re

_YEAR = "(?:19|20)[0-9]{2}"
_NAMED = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t|tember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?)"
)


def _in_any_order(month: str, day: str, between: str) -> str:
    return "|".join(between.join(parts) for parts in ((_YEAR, month, day), (day, month, _YEAR), (month, day, _YEAR)))


_FORMS = (
    _in_any_order("(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])", ""),
    f"{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{{4,}}",  # with its time, as 20190305193713
    _in_any_order("(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])", "[_+.-]"),
    _in_any_order(_NAMED, "(?:0?[1-9]|[12][0-9]|3[01])", "[_+.-]?"),
)
_DATE = re.compile(f"(?<![0-9])(?:{'|'.join(_FORMS)})(?![0-9])", re.IGNORECASE)


def is_in(text: str) -> bool:
    """Whether a text contains a day of the years 1900 to 2099, as docs/own_scans.md says.

    Forms: 20190305, 05032019, 03052019; 201903051937, which ends with a time; 2019-3-5, 5.3.2019, 3_5_2019; 5-Mar-2019,
    05MAR2019. Next to further digits it does not count, nor with a year of two digits: 5.3.19 may be a version.
    """
    return bool(_DATE.search(text))
