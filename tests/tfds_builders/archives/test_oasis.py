import nibabel as nib
import numpy as np

from tests.tfds_builders.archives.conftest import column

SECOND = "Subject ID,MRI ID,Group,Visit,MR Delay,M/F,Hand,Age,EDUC,SES,MMSE,CDR,eTIV,nWBV,ASF"
FIRST = "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay"


def pair(archive, path: str) -> None:
    target = archive.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 500, (12, 12, 12)).astype(np.int16)
    nib.save(nib.AnalyzeImage(values, np.diag([1.0, 1, 1, 1])), target)


def test_oasis_1_takes_the_masked_image_in_atlas_space(archive):
    base = "disc1/OAS1_0001_MR1"
    pair(archive, f"{base}/PROCESSED/MPRAGE/T88_111/OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc.img")
    pair(archive, f"{base}/PROCESSED/MPRAGE/T88_111/OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc.img")
    pair(archive, f"{base}/RAW/OAS1_0001_MR1_mpr-1_anon.img")
    pair(archive, "disc1/OAS1_0002_MR1/RAW/OAS1_0002_MR1_mpr-1_anon.img")
    rows_of_table = ("OAS1_0001_MR1,F,R,74,2,3,29,0,1344,0.743,1.306,N/A", "OAS1_0009_MR1,F,R,20,,,,,1,1,1,N/A")
    archive.csv(archive.root / "oasis_cross-sectional.csv", FIRST, *rows_of_table)
    rows = archive.cohort("oasis")
    assert column(rows, "patient", "mmse", "cdr", "age") == [("OAS1_0001", "29", "0", "74"), ("OAS1_0002", "", "", "")]
    assert rows[0]["scan"].endswith("t88_masked_gfc.hdr")
    assert column(rows, "processing") == ["atlas+masked", "raw"]
    assert "sessions without a row in the table are unlabeled: 1" in archive.said
    assert "rows of the table have no image here: 1" in archive.said
    assert archive.cohort("oasis", "--prefer", "raw")[0]["scan"].endswith("mpr-1_anon.hdr")


def test_oasis_2_skips_visits_and_public_copies_have_semicolons_and_commas(archive):
    for session in ("OAS2_0002_MR1", "OAS2_0002_MR3"):
        pair(archive, f"OAS2_RAW_PART1/{session}/RAW/mpr-1.nifti.img")
    lines = [
        SECOND.replace(",", ";"),
        "OAS2_0002;OAS2_0002_MR1;Demented;1;0;M;R;75;12;;23;0,5;1678;0,736;1,046",
        "OAS2_0002;OAS2_0002_MR3;Demented;3;1895;M;R;80;12;;;0,5;1698;0,701;1,034",
    ]
    (archive.root / "oasis_longitudinal.csv").write_text("\r\n".join(lines))
    rows = archive.cohort("oasis")
    assert column(rows, "visit", "time_days") == [("1", "0"), ("3", "1895")]
    assert column(rows, "mmse", "cdr", "age") == [("23", "0.5", "75"), ("", "0.5", "80")]
    assert "score cdr: 2 of 2 scans labeled, 0.5 to 0.5, 1 fine pair" in archive.said


def test_oasis_3_takes_the_nearest_examination(archive):
    for name in (
        "sub-OAS30001_ses-d0129_run-01_T1w",
        "sub-OAS30001_ses-d0129_run-02_T1w",
        "sub-OAS30001_ses-d2430_T1w",
    ):
        day = name.split("_")[1]
        archive.nifti(archive.root / "sub-OAS30001" / day / "anat" / f"{name}.nii.gz")
    archive.csv(
        archive.root / "ADRC_clinical.csv",
        "ADRC_ADRCCLINICALDATA ID,Subject,ageAtEntry,mmse,cdr,sumbox",
        "OAS30001_ClinicalData_d0000,OAS30001,65.15,28,0,0",
        "OAS30001_ClinicalData_d0339,OAS30001,65.15,29,0,0",
        "OAS30001_ClinicalData_d2181,OAS30001,65.15,,0.5,1",
        "OAS30002_ClinicalData_d0129,OAS30002,70,10,3,9",
        "nobody,,70,10,3,9",
    )
    rows = archive.cohort("oasis")
    assert column(rows, "visit", "time_days", "acquisition") == [
        ("0", "0", "run-01"),
        ("0", "0", "run-02"),
        ("1", "2301", ""),
    ]
    assert column(rows, "mmse", "cdr") == [("28", "0"), ("28", "0"), ("", "0.5")]
    assert column(rows, "age") == ["65.5", "65.5", "71.8"]  # 65.15 years and 129 or 2430 days
    assert "name no patient and day: 1" in archive.said
    assert "scans have no mmse within 365 days: 1" in archive.said


def test_check_and_build_are_told_where_the_axes_run(archive):
    pair(archive, "OAS1_0001_MR1/PROCESSED/MPRAGE/T88_111/OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc.img")
    archive.csv(archive.root / "oasis_cross-sectional.csv", FIRST, "OAS1_0001_MR1,F,R,74,2,3,29,0,1344,0.743,1.306,N/A")
    archive.cohort("oasis", "--check", code=2)
    assert "state it with --orientation" in archive.said
    assert len(archive.cohort("oasis", "--check", "--orientation", "LAS")) == 1
    assert "--orientation LAS --data_dir" in archive.said


def test_oasis_3_as_its_newer_tables_are_called(archive):
    archive.nifti(archive.root / "sub-OAS30001" / "ses-d0129" / "anat" / "sub-OAS30001_sess-d0129_T1w.nii.gz")
    archive.csv(
        archive.root / "OASIS3_UDSb4_cdr.csv",
        "OASISID,OASIS_session_label,days_to_visit,age at visit,MMSE,CDRSUM,CDRTOT",
        "OAS30001,OAS30001_UDSb4_d0339,0339,66.08,28,0,0.5",
    )
    assert column(archive.cohort("oasis"), "mmse", "cdr", "age") == [("28", "0.5", "65.51")]
