"""IXI, the MS data, the colonies, tables of one's own; and what the command does for all of them."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.archives.conftest import column
from tests.tfds_builders.conftest import moving_bar, write_video
from tfds_builders import build
from tfds_builders.archives import ARCHIVES, command, tables
from tfds_builders.errors import InputError


def test_ixi_rows_that_disagree_give_no_age(archive):
    for name in ("IXI012-HH-1211-T1.nii.gz", "IXI013-Guys-1212-T1_ds.nii", "IXI014-IOP-1-T1.nii", "IXI015-HH-2-T1.nii"):
        archive.nifti(archive.root / name)
    archive.nifti(archive.root / "IXI012-HH-1211-T2.nii.gz")
    table = archive.csv(archive.root / "t.csv", "IXI_ID,AGE", "12,38.781", "12,38.782", "13,50.1", "13,55.2", "14,")
    rows = archive.cohort("ixi", "--table", str(table))
    assert column(rows, "patient", "site", "age") == [
        *(("IXI012", "HH", "38.78"), ("IXI013", "Guys", ""), ("IXI014", "IOP", ""), ("IXI015", "HH", "")),
    ]
    assert "people of the table have rows that disagree in age, which is then unknown: 1" in archive.said
    assert "scans of people without a row in the table are unlabeled: 1" in archive.said
    assert column(archive.cohort("ixi", "--table", str(table), "--view", "T2"), "view") == ["T2"]
    assert "people of the table have no scan here: 2" in archive.said


def test_open_ms_has_two_dates(archive):
    for name in ("study1_FLAIR", "study2_FLAIR", "gt_lesion_change"):
        archive.nifti(archive.root / "patient01" / f"{name}.nii.gz")
    archive.nifti(archive.root / "patient02" / "study1_T1W.nii.gz")
    header = "patient_id,sex,days_between_studies,patient_age_at_first_study,ms_type"
    archive.csv(archive.root / "demographics.csv", header, "1,F,203,20,", "7,M,10,30,", "nobody,,,,")
    rows = archive.cohort("open_ms")
    assert column(rows, "visit", "time_days", "age") == [("1", "0", "20"), ("2", "203", "20.556")]
    assert "scans of people without a row in the table are left out: their date is unknown: 1" in archive.said
    assert "people of the table have no scan here: 2" in archive.said


@pytest.fixture
def colonies(archive):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 2, 16, 16), dtype=np.uint8)
    growth = np.array([[0, 5.5], [1, 6], [0, 0]], np.float32)
    np.savez(archive.root / "plate.npz", images=images, hours=np.array([0, 12], np.float32), growth=growth)
    archive.images = images
    return archive


def test_colonies_become_pictures_and_a_dataset(colonies, tmp_path):
    rows = colonies.cohort("growth", "--pictures", str(tmp_path / "stills"), "--check")
    assert column(rows, "patient", "visit", "time_days", "growth")[:3] == [
        ("0000", "0", "0", "0"),
        ("0000", "1", "0.5", "5.5"),
        ("0001", "0", "0", "1"),
    ]
    with Image.open(tmp_path / "stills" / rows[3]["scan"]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), colonies.images[1, 1])
    flags = ["--root", str(tmp_path / "stills"), "--scores", "growth", "--size", "16"]
    assert build.main(["stills", "--cohort", str(colonies.out), "--data_dir", str(tmp_path / "data"), *flags]) == 0


def test_an_archive_of_other_arrays_is_refused(archive):
    np.savez(archive.root / "plate.npz", images=np.zeros(3))
    archive.cohort("growth", "--pictures", str(archive.root / "p"), code=2)
    assert "does not hold images, hours and growth" in archive.said
    np.savez(archive.root / "plate.npz", images=np.zeros((0, 2, 8, 8), np.uint8), hours=[0, 1], growth=np.zeros((0, 2)))
    archive.cohort("growth", "--pictures", str(archive.root / "p"), code=2)
    assert "holds images of (0, 2, 8, 8) uint8" in archive.said
    for content in (b"", b"PK\x03\x04 cut off"):
        (archive.root / "plate.npz").write_bytes(content)
        archive.cohort("growth", "--pictures", str(archive.root / "p"), code=2)
        assert "does not hold images, hours and growth" in archive.said
    assert not (archive.root / "p").exists()


def test_a_table_of_ones_own(archive):
    for name in ("a", "b", "c"):
        archive.nifti(archive.root / "mri" / f"{name}.nii.gz")
    table = archive.csv(
        archive.root / "my.csv",
        "path,PTID,when,MMSE,Age,seq",
        "mri/a.nii.gz,p1,3/15/2010,28,70,T1 weighted",
        "mri/b.nii.gz,p1,2010-03-10,27,70,T1 weighted",
        "mri/c.nii.gz,p2,,26,-4,FLAIR",
    )
    names = ["--columns", "scan=path", "patient=PTID", "date=when", "view=seq"]
    names += ["--scores", "MMSE", "--covariates", "Age", "--missing", "-4"]
    rows = archive.cohort("csv", "--table", str(table), *names, "--check")
    assert column(rows, "visit", "time_days", "view", "MMSE", "Age") == [
        ("1", "5", "T1-weighted", "28", "70"),
        ("0", "0", "T1-weighted", "27", "70"),
        ("0", "", "FLAIR", "26", ""),
    ]
    assert "scans have no date: 1" in archive.said
    archive.out.unlink()
    archive.cohort("csv", "--table", str(table), "--columns", "patiant=PTID", "--scores", "MMSE", code=2)
    assert "--columns has 'patiant=PTID'" in archive.said
    archive.cohort("csv", code=2)
    assert "name it with --table" in archive.said
    archive.cohort("csv", "--table", str(table), code=2)
    assert "name them with --scores" in archive.said


def test_cells_of_a_table_of_ones_own_are_never_dropped_in_silence(archive):
    archive.nifti(archive.root / "a.nii.gz")
    header = "scan,patient,visit,time_days,view,date,split,z"
    table = archive.csv(archive.root / "my.csv", header, "a.nii.gz,p,2,,T1,,test,-1", "a.nii.gz,p,first,soon,T1,x,,bad")
    flags = ("--table", str(table), "--scores", "z")
    archive.cohort("csv", *flags, code=2)
    for fault in ("has 4 faults", "row 2: visit is 'first'", "row 2: time_days is 'soon'", "row 2: z is 'bad'", "'x'"):
        assert fault in archive.said
    archive.csv(table, header, ",p,0,,T1,,,1", "a.nii.gz,p,0.5,,T1,,,1")
    archive.cohort("csv", *flags, code=2)
    assert "row 1: scan is empty" in archive.said
    assert "row 2: visit is '0.5'; it must be an integer" in archive.said
    archive.csv(table, header, "a.nii.gz,p,,,T1,,,1")
    archive.cohort("csv", *flags, code=2)
    assert "row 1: visit is ''; it must be an integer" in archive.said
    archive.csv(table, header, "a.nii.gz,p,2,,T1,,test,-1")
    assert column(archive.cohort("csv", *flags), "visit", "split", "z") == [("2", "test", "-1")]


def test_visits_and_days_that_are_given_stand_and_dates_fill_in_what_is_not(archive):
    for name in ("a", "b"):
        archive.nifti(archive.root / f"{name}.nii.gz")
    table = archive.root / "my.csv"
    flags = ("--table", str(table), "--scores", "z")

    def of(columns: str, first: str, second: str) -> list[tuple[str, str]]:
        archive.csv(table, f"scan,patient,view,z,{columns}", f"a.nii.gz,p,T1,1,{first}", f"b.nii.gz,p,T1,1,{second}")
        return column(archive.cohort("csv", *flags), "visit", "time_days")

    assert of("visit,date", "1,2010-01-01", "3,2010-02-01") == [("1", "0"), ("3", "31")]
    assert of("visit,time_days,date", "1,5,2010-01-01", "3,40,2010-02-01") == [("1", "5"), ("3", "40")]
    assert of("time_days,date", "5,2010-01-01", "40,2010-02-01") == [("0", "5"), ("1", "40")]
    assert of("date", "2010-02-01", "2010-01-01") == [("1", "31"), ("0", "0")]
    assert of("time_days", "370.5", "0") == [("1", "370.5"), ("0", "0")]
    assert of("note", "", "") == [("0", ""), ("0", "")]
    assert "scans have neither visit nor date; those of a patient are taken for one visit: 2" in archive.said


@pytest.mark.parametrize("scan", ["../outside.nii.gz", "/etc/hostname"])
def test_a_table_of_ones_own_may_not_lead_out(archive, scan):
    archive.nifti(archive.root.parent / "outside.nii.gz")
    table = archive.csv(archive.root / "my.csv", "scan,patient,view,z", f"{scan},p,T1,1")
    archive.cohort("csv", "--table", str(table), "--scores", "z", code=2)
    assert "is outside" in archive.said


def test_check_says_every_scan_that_cannot_be_read(archive):
    header = "video_file,Severity Score"
    for name in ("patient_1_L1", "patient_1_L2", "patient_1_L3"):
        write_video(archive.root / f"{name}.mp4", moving_bar(3))
    for name in ("patient_1_L1", "patient_1_L3"):
        (archive.root / f"{name}.mp4").write_bytes(b"nothing")
    archive.csv(archive.root / "severity.csv", header, "patient_1_L1,1")
    archive.csv(
        archive.root / "clinical_variables.csv",
        "patient_id,pat_age,oxygen_saturation_without_ox,oxygen_saturation_with_ox,oxygen_liter",
    )
    archive.cohort("covid_blues", "--check", code=2)
    assert "2 of 3 scans cannot be used" in archive.said
    assert "patient_1_L1.mp4 is not a video" in archive.said
    assert "patient_1_L3.mp4 is not a video" in archive.said


def test_what_is_there_is_not_replaced_unasked(archive, capsys):
    archive.out.write_text("mine")
    assert command.main(["ixi", str(archive.root), "-o", str(archive.out)]) == 2
    assert "exists; choose another place with -o, or replace it with --overwrite" in capsys.readouterr().err
    assert archive.out.read_text() == "mine"
    assert command.main(["ixi", str(archive.root / "no"), "-o", str(archive.root / "x.csv")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_every_archive_says_what_it_is(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    for name in ARCHIVES:
        assert f"\n    {name}" in said


@pytest.mark.parametrize(
    ("text", "want"),
    [
        *(
            ("2005-09-08", "2005-09-08"),
            ("9/8/2005", "2005-09-08"),
            ("9/8/05", "2005-09-08"),
            ("09/08/99", "1999-09-08"),
        ),
        *(
            ("2006-04-18_08_20_30.0", "2006-04-18"),
            ("2006-04-18T08:20:30", "2006-04-18"),
            ("2006-04-18 00:00:00", "2006-04-18"),
        ),
        *(("2/31/2005", "None"), ("yesterday", "None"), ("", "None"), ("20050908", "None")),
    ],
)
def test_dates(text, want):
    assert str(tables.day(text)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [("1,5", 1.5), (" 2 ", 2.0), ("-4", -4.0), ("n/a", None), ("", None), ("1e999", None), ("x", None), ("1_0", None)],
)
def test_numbers(text, want):
    assert tables.number(text) == want
    assert tables.number(text, (-4.0, 2.0)) == (None if want in (-4.0, 2.0) else want)


@pytest.mark.parametrize("text", ["1,095", "250,000", "-1,095,000", "1,095.5"])
def test_a_comma_before_three_digits_is_a_fault_between_commas_and_a_decimal_comma_elsewhere(tmp_path, text):
    table = tmp_path / "t.csv"
    table.write_text(f'id,mmse,note\n1,"{text}","{text}"\n')
    row = tables.read(table, ("mmse",))[0]
    assert row["note"] == text  # which nobody takes for a number
    with pytest.raises(InputError) as caught:
        tables.number(row["mmse"])
    assert f"{table}: row 1: mmse is {text!r}; write {text.replace(',', '')}, or a point in place of a decimal" in str(
        caught.value
    )
    for separator in ";\t":
        table.write_text(f"id,mmse\n1,{text}\n".replace(",", separator, 2))
        cell = tables.read(table, ("mmse",))[0]["mmse"]
        assert tables.number(cell) == (float(text.replace(",", ".")) if text in ("1,095", "250,000") else None)


def test_other_commas_between_commas_are_decimal_ones(tmp_path):
    table = tmp_path / "t.csv"
    for text, want in (("1,5", 1.5), ("0,125", 0.125), ("1,0951", 1.0951), ("1095,5", 1095.5), ("1,5,5", None)):
        table.write_text(f'id,mmse\n1,"{text}"\n')
        assert tables.number(tables.read(table, ("mmse",))[0]["mmse"]) == want


def test_columns_are_found_in_capitals_too(archive):
    archive.nifti(archive.root / "a.nii.gz")
    table = archive.csv(archive.root / "my.csv", "Scan,PATIENT,Visit,Split,View,z", "a.nii.gz,p,3,val,T1,1")
    flags = ("--table", str(table), "--scores", "z")
    assert column(archive.cohort("csv", *flags), "visit", "split", "view") == [("3", "val", "T1")]
    archive.csv(table, "scan,patient,Visit,VISIT,view,z", "a.nii.gz,p,3,4,T1,1")
    archive.out.unlink()
    archive.cohort("csv", *flags, code=2)
    assert "my.csv has 2 columns 'visit'; rename all but one" in archive.said


def test_two_texts_that_would_become_one_word_are_a_fault(archive):
    for name in "abcd":
        archive.nifti(archive.root / f"{name}.nii.gz")
    flags = ("--table", str(archive.root / "my.csv"), "--scores", "z", "--view", "T1")

    def of(column_name: str, *texts: str) -> None:
        rows = (f"{name}.nii.gz,p,{text},{i}" for i, (name, text) in enumerate(zip("abcd", texts, strict=False)))
        archive.csv(archive.root / "my.csv", f"scan,patient,{column_name},z", *rows)

    for column_name in ("view", "acquisition", "processing"):
        of(column_name, "T1 (left)", "T1 (left)", "T1 left", "左")
        archive.cohort("csv", *flags, code=2)
        assert "my.csv has 1 fault:" in archive.said
        assert f"row 3: {column_name} is 'T1 left', which becomes the word 'T1-left' as 'T1 (left)' does; spell " in (
            archive.said
        )
        of(column_name, "", "左")
        archive.cohort("csv", *flags, code=2)
        assert f"row 2: {column_name} is '左', which becomes the word '' as '' does" in archive.said
    one, two = (f"left upper anterior chest zone number {n}" for n in ("one", "two"))
    of("view", one, two, "zone 1", "zone 1")
    words = [one.replace(" ", "-"), two.replace(" ", "-"), "zone-1", "zone-1"]
    assert column(archive.cohort("csv", *flags), "view") == words
    of("view", 8 * "long word ", 9 * "long word ")
    archive.out.unlink()
    archive.cohort("csv", *flags, code=2)
    for name, times in (("a", 8), ("b", 9)):
        written = "-".join(times * ["long-word"])
        assert f"{name}.nii.gz: view is '{written}'; it must be one word of 1 to 64 letters" in archive.said


def test_every_mark_of_thousands_in_a_table_of_ones_own_is_said(archive):
    for name in ("a", "b"):
        archive.nifti(archive.root / f"{name}.nii.gz")
    table = archive.root / "my.csv"
    table.write_text('scan,patient,days,view,z\na.nii.gz,"1,095",0,T1,1\nb.nii.gz,p,"1,095",T1,"250,000"\n')
    flags = ("--table", str(table), "--scores", "z", "--columns", "time_days=days")
    archive.cohort("csv", *flags, code=2)
    assert (
        "my.csv has 2 faults:\n  row 2: time_days is '1,095'; write 1095, or a point in place of a dec" in archive.said
    )
    assert "row 2: z is '250,000'; write 250000, or a point in place of a decimal comma" in archive.said
    table.write_text(table.read_text().replace('T1,"250,000"', "T1,3").replace('p,"1,095"', "p,1095"))
    assert column(archive.cohort("csv", *flags), "patient", "time_days", "z") == [
        ("1,095", "0", "1"),
        ("p", "1095", "3"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_in_any_dialect(tmp_path, encoding, separator):
    rows = (("ID", "Größe"), ("1", "zwölf "), ("", ""), ("2", ""))
    (tmp_path / "t.csv").write_bytes("\r\n".join(separator.join(row) for row in rows).encode(encoding))
    assert tables.read(tmp_path / "t.csv", ("id",)) == [{"id": "1", "Größe": "zwölf"}, {"id": "2", "Größe": ""}]


def test_a_cell_of_two_lines_is_said_with_its_scan(archive):
    for name in ("a", "b", "c"):
        archive.nifti(archive.root / f"{name}.nii.gz")
    rows = ('a.nii.gz,"p\n1",T1,1', "b.nii.gz,p,T1,1", 'c.nii.gz,"p\n1",T1,1')
    table = archive.csv(archive.root / "my.csv", "scan,patient,view,z", *rows)
    archive.cohort("csv", "--table", str(table), "--scores", "z", code=2)
    for name in ("a", "c"):
        assert f"{name}.nii.gz: patient contains an invisible character" in archive.said
    assert "b.nii.gz: " not in archive.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,MMSE,mmse\n1,28,3\n", "has 2 columns 'mmse'; rename all but one"),
        ("id,age,mmse\n1,70,29\n2,70,5,28\n", "row 2 has 4 cells, but the header names 3 columns"),
        ('id,note,mmse\n1,"5 mg,28\n2,b,27\n', "cannot be read as a table (unexpected end of data)"),
    ],
)
def test_cells_that_are_not_where_the_header_says_are_refused(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        tables.read(tmp_path / "t.csv", ("mmse",))
    assert said in str(caught.value)


def workbook(path, last="", **sheets):
    """An .xlsx of text cells; a sheet is given as lines with commas between cells. ``last``: place of one more cell."""
    office, open_xml = "http://schemas.openxmlformats.org", "application/vnd.openxmlformats-officedocument"
    main, package = f"{office}/spreadsheetml/2006/main", f"{office}/package/2006"
    to_sheets = "".join(
        f'<Relationship Id="r{i}" Type="{office}/officeDocument/2006/relationships/worksheet" Target="{i}.xml"/>'
        for i in range(len(sheets))
    )
    named = "".join(f'<sheet name="{name}" sheetId="{i + 1}" r:id="r{i}"/>' for i, name in enumerate(sheets))
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{open_xml}.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r0" Type='
        f'"{office}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}/officeDocument/2006/relationships"><sheets>'
        f"{named}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{to_sheets}</Relationships>',
    }
    for i, lines in enumerate(sheets.values()):
        rows = "".join(
            "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in line.split(",")) + "</row>"
            for line in lines
        )
        rows += f'<row><c r="{last}"><v>1</v></c></row>' if last else ""
        parts[f"xl/{i}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return path


def test_of_several_sheets_the_one_with_the_columns_is_read(tmp_path):
    path = workbook(tmp_path / "t.xlsx", legend=("code,means", "1,one"), scores=("id,mmse", "1,28"))
    assert tables.read(path, ("mmse",)) == [{"id": "1", "mmse": "28"}]
    workbook(path, Ulm=("id,mmse", "1,28"), Bonn=("id,MMSE", "2,27"))
    with pytest.raises(InputError, match="has the columns in several sheets: Ulm, Bonn; put all rows into one"):
        tables.read(path, ("mmse",))


def test_a_workbook_that_unpacks_to_far_more_than_a_table_is_refused(tmp_path, monkeypatch):
    path = workbook(tmp_path / "t.xlsx", scores=("id,mmse", *["1,28"] * 5000))
    monkeypatch.setattr(tables, "_LARGEST", 200_000)
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match="is larger than 0 MiB; it is no table of this archive"):
        tables.read(path, ("mmse",))


def test_a_workbook_that_breaks_its_reader_is_refused(tmp_path):
    path = workbook(tmp_path / "t.xlsx", last="XFD1048576", scores=("id,mmse", "1,28"))  # a grid of 400 GB
    with pytest.raises(InputError, match=r"t\.xlsx is damaged: its decoder breaks down on it"):
        tables.read(path, ("mmse",))
    workbook(path, last="D300", scores=("id,mmse,note,", "1,28,x,"))
    assert tables.read(path, ("mmse",))[0] == {"id": "1", "mmse": "28", "note": "x", "": ""}


def test_empty_cells_behind_a_row_are_no_trouble(tmp_path):
    (tmp_path / "t.csv").write_text("id,mmse\n1,28,,\n2\n")
    assert tables.read(tmp_path / "t.csv", ("mmse",)) == [{"id": "1", "mmse": "28"}, {"id": "2", "mmse": ""}]


def test_the_visits_of_a_patient_are_counted_together_however_the_name_is_typed(archive):
    names = "Mu\u0308ller", "M\u00fcller"
    for name in ("a", "b"):
        archive.nifti(archive.root / f"{name}.nii.gz")
    rows = (f"a.nii.gz,{names[0]},2010-01-01,T1,1", f"b.nii.gz,{names[1]},2010-02-01,T1,1")
    table = archive.csv(archive.root / "my.csv", "scan,patient,date,view,z", *rows)
    found = archive.cohort("csv", "--table", str(table), "--scores", "z")
    assert column(found, "patient", "visit", "time_days") == [(names[1], "0", "0"), (names[1], "1", "31")]
