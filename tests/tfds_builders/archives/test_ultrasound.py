"""COVID-BLUES and POCUS, with the columns of their tables."""

import pytest

from tests.tfds_builders.archives.conftest import column
from tests.tfds_builders.conftest import moving_bar, write_video
from tfds_builders.archives.covid_blues import sf_ratio

POCUS = "Filename,Lung Severity Score,Source ID,Patient ID / Name,Probe,Age"
BLUES = "patient_id,pat_age,oxygen_saturation_without_ox,oxygen_saturation_with_ox,oxygen_liter"


@pytest.mark.parametrize(
    ("without", "under", "litres", "want"),
    [
        ("97", "-96", "", 97 / 0.21),
        ("91", "94", "2", 94 / 0.29),
        ("-99", "93", "4", 93 / 0.37),
        ("-99", "93", "15", 93 / 0.6),
        ("-99", "93", "", None),
        ("90", "93", "-99", 90 / 0.21),
        ("", "", "", None),
    ],
)
def test_the_rule_of_the_oxygen_fraction(without, under, litres, want):
    names = ("oxygen_saturation_without_ox", "oxygen_saturation_with_ox", "oxygen_liter")
    assert sf_ratio(dict(zip(names, (without, under, litres), strict=True))) == (want and pytest.approx(want))


def test_covid_blues(archive):
    for name in ("patient_1_L1", "patient_1_L1_2", "patient_14_R3", "patient_99_R1", "other"):
        write_video(archive.root / f"{name}.mp4", moving_bar(3))
    rows_of_table = (
        "patient_1_L1,2.0,yes,yes ,x",
        "patient_1_L1_2,1.0 ,yes,no,",
        "patient_14_R3,,no,no,",
        "patient_3_L1,1,,,",
    )
    archive.csv(archive.root / "severity.csv", "video_file,Severity Score,A-lines,B-lines,comments", *rows_of_table)
    archive.csv(archive.root / "clinical_variables.csv", BLUES, "1,60.0,97.0,-96,", "14,-99,-99.0,94,2.0")
    rows = archive.cohort("covid_blues", "--check")
    assert column(rows, "patient", "view", "severity", "sf", "age") == [
        ("14", "R3", "", "324.137931", ""),
        ("1", "L1", "2", "461.9047619", "60"),
        ("1", "L1", "1", "461.9047619", "60"),
        ("99", "R1", "", "", ""),
    ]
    assert column(rows, "visit", "time_days") == [("0", "0")] * 4
    assert "4 scans can be read" in archive.said
    assert "videos without a row in the table of severity are unlabeled: 1" in archive.said
    assert "rows of the table of severity have no video here: 1" in archive.said


def test_pocus_patients_are_of_a_source_and_days_are_visits(archive):
    (archive.root / "convex").mkdir()
    for day in (1, 2):
        write_video(archive.root / "convex" / f"Cov-Atlas-Day+{day}.gif", moving_bar(3), "gif", "rgb8")
    for name in ("Reg_a.mp4", "Pneu_b.avi", "Unknown.mov"):
        write_video(archive.root / "convex" / name, moving_bar(3))
    archive.csv(
        archive.root / "dataset_metadata.csv",
        POCUS,
        "Cov-Atlas-Day+2,1,2,35,convex,nd",
        "Cov-Atlas-Day+1,0,2,35,convex,nd",
        "Reg_a,0,14,35,Convex,27",
        "Pneu_b.avi,,14,,linear,",
        "Gone,3,2,36,convex,",
    )
    rows = archive.cohort("pocus")
    assert column(rows, "source", "patient", "visit", "time_days", "severity") == [
        ("2", "35", "0", "0", "0"),
        ("2", "35", "1", "1", "1"),
        ("14", "Pneu_b", "0", "", ""),
        ("14", "35", "0", "", "0"),
    ]
    assert column(rows, "view") == ["convex", "convex", "linear", "convex"]
    assert "clips without a row in the table are left out: their patient is unknown: 1" in archive.said
    assert "rows of the table have no clip here: 1" in archive.said
    assert "3 patients" in archive.said
    assert "1 fine pair" in archive.said
