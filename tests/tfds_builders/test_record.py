import dataclasses
import json

import numpy as np
import pytest

from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta, Record, check_complete, features

META = DatasetMeta(
    name="ultrasound_clips",
    version="1.0.0",
    modality="ultrasound",
    dtype="uint8",
    axis0="time",
    scan_shape=(2, 4, 4, 1),
    preprocessing={"size": 4},
    scores=("severity",),
    covariates=(),
    key_fingerprint="k",
    fingerprint="f",
    inputs="i",
    n_scans=3,
)


def test_meta_comes_back_as_written(tmp_path):
    META.write(tmp_path)
    assert DatasetMeta.read(tmp_path) == META


@pytest.mark.parametrize("field", ["modality", "axis0", "dtype"])
def test_meta_takes_only_known_words(field):
    with pytest.raises(ValueError, match=f"{field} is 'x'; possible: "):
        dataclasses.replace(META, **{field: "x"})


def test_meta_of_another_version_is_refused(tmp_path):
    META.write(tmp_path)
    values = json.loads((tmp_path / "dataset.json").read_text())
    del values["inputs"]
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"another version of tfds_builders \(differs in: inputs\)"):
        DatasetMeta.read(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        DatasetMeta.read(tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_a_record_passes_through_the_features_bit_for_bit(dtype):
    scan = np.random.default_rng(0).integers(0, 255, (2, 4, 4, 1)).astype(dtype)
    record = Record(scan, np.array([0.1, np.nan, 2.0], np.float32), scale=0.5, offset=-3.0)
    kinds = features(dataclasses.replace(META, dtype=dtype))
    out = kinds.deserialize_example_np(kinds.serialize_example(record.example("id")))
    assert out["scan"].dtype == scan.dtype
    np.testing.assert_array_equal(out["scan"], scan)
    np.testing.assert_array_equal(out["spacing"], record.spacing)
    assert (out["scale"], out["offset"], out["scan_id"]) == (0.5, -3.0, b"id")


def test_one_digest_sees_every_number_and_the_other_the_pixels_alone():
    record = Record(np.zeros((1, 2, 2, 1), np.uint8), np.ones(3, np.float32))
    other = record.scan.copy()
    other[0, 1, 1, 0] = 1
    changed = [{"scan": other}, {"spacing": np.array([1, 1, 2], np.float32)}, {"scale": 1.0}, {"offset": 1.0}]
    whole, pixels = zip(*(dataclasses.replace(record, **change).digests() for change in [{}, *changed]), strict=True)
    assert len(set(whole)) == 5
    assert pixels[0] == pixels[2] == pixels[3] == pixels[4] != pixels[1]


def test_an_incomplete_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*build one with: python -m tfds_builders\.build"):
        check_complete(tmp_path / "absent")
    with pytest.raises(InputError, match="is not a dataset: it holds no marker file COMPLETE"):
        check_complete(tmp_path)
    META.write(tmp_path)
    with pytest.raises(InputError, match="is a half-written dataset: its marker file COMPLETE is missing"):
        check_complete(tmp_path)
    (tmp_path / "COMPLETE").touch()
    check_complete(tmp_path)
