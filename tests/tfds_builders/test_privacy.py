"""Sixty planted strings, in every place where a name may hide, and none of them under the data or the work folder."""

import csv
import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from tfds_builders import build

TEXT_TAGS = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientComments", "PatientAddress", "PatientMotherBirthName"),
    *("ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName", "InstitutionName", "InstitutionAddress"),
    *("StationName", "StudyDescription", "SeriesDescription", "StudyID", "AccessionNumber", "ProtocolName"),
    *("DeviceSerialNumber", "SoftwareVersions", "ImageComments", "AdditionalPatientHistory", "Occupation"),
)


class Planted:
    """Counts out strings that can be searched for."""

    def __init__(self):
        self._numbers = itertools.count()
        self.strings: list[str] = []

    def __call__(self) -> str:
        self.strings.append(f"PLANTED{next(self._numbers):02d}Qx")
        return self.strings[-1]


def write_dicom(path: Path, planted: Planted, seed: int) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.SourceApplicationEntityTitle = planted()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=planted().encode().ljust(128, b"\0"))
    for tag in TEXT_TAGS:
        setattr(dataset, tag, planted())
    private = dataset.private_block(0x0029, planted(), create=True)
    private.add_new(0x01, "LO", planted())
    private.add_new(0x02, "UT", planted())
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning, inner.TextValue = planted(), planted()
    outer.ConceptNameCodeSequence = Sequence([inner])
    outer.RequestedProcedureDescription = planted()
    dataset.RequestAttributesSequence = Sequence([outer])
    overlay = dataset.private_block(0x0031, planted(), create=True)
    overlay.add_new(0x01, "OB", planted().encode())
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    dataset.BurnedInAnnotation, dataset.PhotometricInterpretation = "NO", "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames, dataset.SamplesPerPixel = 32, 32, 4, 1
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = np.random.default_rng(seed).integers(0, 256, (4, 32, 32), dtype=np.uint8).tobytes()
    dataset.add_new(0xFFFCFFFC, "OB", planted().encode())  # trailing padding
    dataset.save_as(path, enforce_file_format=True)


def write_nifti(path: Path, planted: Planted, seed: int) -> None:
    image = nib.Nifti1Image(np.random.default_rng(seed).random((20, 24, 18)).astype(np.float32), np.diag([8, 8, 8, 1]))
    image.header["descrip"], image.header["aux_file"] = planted().encode(), planted().encode()
    image.header["db_name"], image.header["intent_name"] = planted().encode(), planted().encode()
    for code in (0, 2, 4, 6):  # unknown, DICOM, AFNI, comment
        if code != 2:
            image.header.extensions.append(nib.nifti1.Nifti1Extension(code, planted().encode()))
    nib.save(image, path)


def write_cohort(folder: Path, planted: Planted, suffix: str, write) -> Path:
    """Six patients at two visits; names of files, folders and columns are planted too."""
    rows = []
    for patient in range(6):
        name = planted()
        (folder / name).mkdir(parents=True)
        for visit in range(2):
            scan = f"{name}/{planted()}{suffix}" if patient == 0 else f"{name}/{visit}{suffix}"
            write(folder / scan, planted if patient == visit == 0 else Planted(), 2 * patient + visit)
            rows.append({"scan": scan, "patient": name, "visit": visit, "time_days": 30 * visit, "view": "L1"})
            rows[-1] |= {"source": "PLANTEDsource", "site": "PLANTEDsite", "severity": (patient + visit) % 4}
            rows[-1] |= {"PLANTEDcolumn": "PLANTEDcell", "comment": planted() if patient == 0 else ""}
    with (folder / "cohort.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "cohort.csv"


def assert_none_of(strings: list[bytes], folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = str(path.relative_to(folder)).encode() + path.read_bytes()
        found = [text for text in strings if text in content or text.lower() in content.lower()]
        assert not found, (path, found)


@pytest.fixture
def planted_builds(tmp_path):
    """Two datasets, one of DICOM and one of NIfTI, and what must not be in them."""
    planted = Planted()
    clips = write_cohort(tmp_path / "lab" / "clips", planted, ".dcm", write_dicom)
    brains = write_cohort(tmp_path / "lab" / "brains", planted, ".nii.gz", write_nifti)
    common = ["--scores", "severity", "--processes", "1"]
    small = ["--frames", "4", "--size", "32"]
    for name, table, more in (
        ("ultrasound_clips", clips, small),
        ("brain_volumes", brains, ["--shape", "9", "9", "9"]),
    ):
        given = [name, "--cohort", str(table), "--data_dir", str(tmp_path / "data" / name), *common, *more]
        assert build.main(given) == 0
    named = ["PLANTEDsource", "PLANTEDsite", "PLANTEDcolumn", "PLANTEDcell", str(tmp_path)]
    return tmp_path, [text.encode() for text in [*planted.strings, *named]]


def test_no_planted_string_reaches_the_data_folder(planted_builds):
    folder, strings = planted_builds
    assert len(strings) >= 60
    source = b"".join(path.read_bytes() for path in (folder / "lab").rglob("*.dcm"))
    assert sum(text in source for text in strings) >= 30  # they really are in the files
    assert_none_of(strings, folder / "data")


def test_no_planted_string_reaches_the_report_of_what_was_left_out(tmp_path):
    planted = Planted()
    table = write_cohort(tmp_path / "lab", planted, ".dcm", write_dicom)
    damaged = sorted((tmp_path / "lab").rglob("*.dcm"))
    for path, damage in zip(damaged, (100, 700, 1500), strict=False):
        path.write_bytes(path.read_bytes()[:damage])
    name = pydicom.dcmread(damaged[-1])
    name.PhotometricInterpretation = planted().upper()
    name.save_as(damaged[-1])
    given = ["ultrasound_clips", "--cohort", str(table), "--scores", "severity", "--frames", "4", "--size", "32"]
    out = tmp_path / "data" / "x"
    assert build.main([*given, "--processes", "1", "--data_dir", str(out), "--max_bad_fraction", "0.9"]) == 0
    assert (out / "build_report.json").read_text().count('"reason"') >= 3
    assert_none_of([text.encode() for text in [*planted.strings, str(tmp_path)]], tmp_path / "data")


def test_no_planted_string_reaches_a_run(planted_builds):
    """Trained, scored and reported on the planted clips: the work folder knows no name either."""
    from configs.demo import get_config
    from learner_jax.train import train

    folder, strings = planted_builds
    config = get_config()
    config.steps, config.batch_size, config.log_every = 2, 8, 1
    config.data.dir = str(folder / "data" / "ultrasound_clips")
    config.data.score, config.data.frames, config.data.size = "severity", 4, 32
    config.backbone.name, config.objective.projection = "tsm_resnet18-test", 8
    config.eval.bootstrap, config.eval.batch_size, config.eval.change_threshold = 100, 8, 0.5
    train(config, folder / "work")
    assert (folder / "work" / "eval").is_dir()
    paths = [text for text in strings if not text.startswith(b"/")]  # config.json keeps data.dir as it was typed
    assert_none_of(paths, folder / "work")
