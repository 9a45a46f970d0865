"""Dates are found however they are written; what instruments, sequences and versions are called is not a date."""

import datetime

import pytest

from tfds_builders import dates

FORMS = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%Y%m%d%H%M", "%Y%m%d%H%M%S000", "%Y%m%dT%H%M%S")
FORMS += ("%Y-%m-%d", "%d.%m.%Y", "%m_%d_%Y", "%Y+%m+%d", "%d-%b-%Y", "%d%b%Y", "%Y%B%d", "%B-%d-%Y")


@pytest.mark.parametrize("form", FORMS)
def test_every_day_is_found_within_a_word(form):
    for day in range(0, 73_000, 101):  # to 2099
        moment = datetime.datetime(1900, 1, 1, 9, 5) + datetime.timedelta(days=day)
        for written in (moment.strftime(form), moment.strftime(form).upper()):
            assert dates.is_in(written), written
            assert dates.is_in(f"DOB-{written}_x"), written


@pytest.mark.parametrize("written", ["2019-3-5", "5.3.2019", "acq-20190305", "1.2.840.20190305.7", "5mar2019"])
def test_a_date_is_found_without_zeros_and_beside_other_things(written):
    assert dates.is_in(written)


@pytest.mark.parametrize(
    "word",
    [
        *("acq-1mm", "MPRAGE", "t1-3d-2000hz", "MP-RAGE_REPEAT_1.5T", "GradWarp+B1+N3+Scaled", "tr-2000-te-30", "L1"),
        *("190305", "540131", "2019", "2019-03", "march2019", "Siemens2019", "S13408", "1234567", "120190305"),
        *("18991231", "21000101", "20191305", "20190332", "32122019", "00122019", "2019030", "201903051", "99991231"),
        *("5.3.19", "20.2.3", "7.4.1", "2019.1", "2000_30_90", "1.0.2019", "2019-001", "decay5-2000", "PT1H"),
    ],
)
def test_what_is_no_day_is_no_date(word):
    assert not dates.is_in(word)
