"""Scans are prepared as those of a dataset were, to the bit; what cannot be is refused with the reason."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.tfds_builders.hostile.files import dicom, save
from tfds_builders import alike, build, cohort
from tfds_builders.build import BUILDERS
from tfds_builders.builder import FileBuilder
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta


def stored(builder, options) -> dict:
    """As a run's read-out keeps it."""
    values = {
        "name": builder.name, "version": str(builder.VERSION), "modality": builder.MODALITY,
        "dtype": builder.dtype(options), "scan_shape": builder.shape(options),
        "preprocessing": builder.preprocessing(options),
    }  # fmt: skip
    return json.loads(json.dumps(values))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ultrasound_clips", {}),
        ("ultrasound_clips", {"frames": 5, "size": 64, "allow_burned_in": True}),
        ("stills", {"size": 48}),
        ("brain_volumes", {}),
        ("brain_volumes", {"shape": (32, 40, 24), "spacing": 4.5, "around": "image", "orientation": "LPS",
                           "dtype": "float16"}),
    ],
)  # fmt: skip
def test_options_are_found_again(name, options):
    builder = BUILDERS[name]
    options = builder.OPTIONS(**options)
    assert alike.options_of(stored(builder, options)) == (builder, options)


def test_every_builder_of_files_gives_its_options_again():
    for builder in BUILDERS.values():
        if issubclass(builder, FileBuilder):
            assert alike.options_of(stored(builder, builder.OPTIONS())) == (builder, builder.OPTIONS())


def test_made_up_scans_are_matched_in_shape_by_files():
    lus, mri = BUILDERS["synthetic_lus"], BUILDERS["synthetic_mri"]
    builder, options = alike.options_of(stored(lus, lus.OPTIONS(frames=4, size=32)))
    assert (builder.name, options.frames, options.size) == ("ultrasound_clips", 4, 32)
    builder, options = alike.options_of(stored(mri, mri.OPTIONS(size=32)))
    assert (builder.name, options.shape) == ("brain_volumes", (32, 32, 32))
    assert options.spacing == mri.preprocessing(mri.OPTIONS(size=32))["spacing_mm"]


def test_what_this_version_prepares_in_another_way_is_refused():
    clips = BUILDERS["ultrasound_clips"]
    about = stored(clips, clips.OPTIONS())
    for changed, words in (
        ({"version": "0.9.0"}, "was built by version 0.9.0 of ultrasound_clips, and this software, which has version"),
        ({"preprocessing": about["preprocessing"] | {"resize": "cropped"}}, "prepares scans differently"),
        ({"scan_shape": [16, 112, 96, 1]}, "ultrasound_clips cannot store scans as ultrasound_clips does: uint8 of"),
        ({"name": "mine"}, "no builder prepares files as mine does; possible: ultrasound_clips, "),
    ):
        with pytest.raises(InputError, match=words):
            alike.options_of(about | changed)


def test_the_records_are_those_of_the_dataset(clips, tmp_path, capsys):
    command = ["ultrasound_clips", "--cohort", str(clips), "--data_dir", str(tmp_path / "lus"), "--scores", "severity"]
    assert build.main([*command, "--frames", "4", "--size", "32", "--processes", "1"]) == 0
    capsys.readouterr()
    meta = dataclasses.asdict(DatasetMeta.read(tmp_path / "lus"))
    scans = sorted(clips.parent.rglob("*.mp4"))[:2] or sorted(clips.parent.rglob("*.avi"))[:2]
    (tmp_path / "few").mkdir()
    folder = alike.build(meta, scans, "L1", tmp_path / "few")
    told = capsys.readouterr()
    assert told.out + told.err == ""
    table, own = cohort.read_table(folder), DatasetMeta.read(folder)
    assert (table["visit"].to_list(), set(table["view"])) == ([1, 2], {"L1"})
    assert (own.preprocessing, own.scores) == (DatasetMeta.read(tmp_path / "lus").preprocessing, ())
    assert own.key_fingerprint != meta["key_fingerprint"]
    whole = tfds.builder_from_directory(str(tmp_path / "lus")).as_data_source("scans")
    few = tfds.builder_from_directory(str(folder)).as_data_source("scans")
    pixels = [record["scan"].tobytes() for record in whole]
    assert all(record["scan"].tobytes() in pixels for record in few)
    assert not np.array_equal(few[0]["scan"], few[1]["scan"])


def test_files_that_cannot_be_used_are_refused(clips, tmp_path):
    meta = stored(BUILDERS["ultrasound_clips"], BUILDERS["ultrasound_clips"].OPTIONS(frames=4, size=32))
    good = next(path for path in sorted(clips.parent.rglob("*")) if path.suffix in (".mp4", ".avi"))
    (tmp_path / "text.mp4").write_text("no video")
    save(dicom(BurnedInAnnotation="YES"), tmp_path / "named.dcm")
    for second, words in (
        (tmp_path / "gone.mp4", "there is no scan .*gone.mp4"),
        (good, "is named twice"),
        (tmp_path / "text.mp4", "text.mp4 "),
        (tmp_path / "named.dcm", "--allow_burned_in. Here the options of the build of the run's dataset hold"),
    ):
        folder = tmp_path / f"for {second.name}"
        folder.mkdir()
        with pytest.raises(InputError, match=words):
            alike.build(meta, [good, second], "L1", folder)
