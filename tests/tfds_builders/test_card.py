import hashlib
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tfds_builders import build
from tfds_builders.card import contact_sheet


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card") / "data"
    knobs = ["--n_patients", "12", "--visits", "4", "--views", "1", "--frames", "3", "--size", "32"]
    assert build.main(["synthetic_lus", *knobs, "--processes", "1", "--data_dir", str(folder)]) == 0
    return folder


def test_the_contact_sheet_shows_the_middle_frames(dataset):
    import tensorflow_datasets as tfds

    sheet = np.asarray(Image.open(dataset / "contact_sheet.png"))
    scans = tfds.builder_from_directory(str(dataset)).as_data_source("scans")
    assert len(scans) == 48
    columns, larger, caption = 8, 3, 14  # 32 pixels are drawn three times as large
    height, width = 32 * larger + caption + 2, 32 * larger + 2
    assert sheet.shape == (5 * height, columns * width)  # the most that are shown are 40
    first = sheet[1 + caption : 1 + caption + 96, 1 : 1 + 96]
    np.testing.assert_allclose(first[::larger, ::larger], scans[0]["scan"][1, :, :, 0], atol=1)
    last = sheet[-1 - 96 : -1, -1 - 96 : -1]
    np.testing.assert_allclose(last[::larger, ::larger], scans[47]["scan"][1, :, :, 0], atol=1)


def test_a_volume_is_shown_with_its_head_up():
    grey = np.zeros((4, 6, 5, 1), np.uint8)  # slices from inferior to superior
    grey[3] = 200
    picture = np.asarray(
        contact_sheet._picture(
            {"scan": grey, "scale": np.float32(1 / 255), "offset": np.float32(0)}, type("Meta", (), {"axis0": "depth"})
        )
    )
    larger = picture.shape[1] // 5
    coronal = picture[6 * larger :: larger, ::larger]
    np.testing.assert_array_equal(coronal, [[200] * 5, [0] * 5, [0] * 5, [0] * 5])


def test_the_card_tells_what_is_in_the_dataset(dataset):
    card = (dataset / "README.md").read_text()
    assert card.startswith("# synthetic_lus 1.0.0\n")
    assert "* 48 scans of 12 patients, 48 visits, 1 view\n" in card
    assert "`scan` 3x32x32x1 uint8 (`t h w c`; t is time)" in card
    assert '"n_patients": 12' in card
    assert "split default: train" in card
    assert json.loads((dataset / "dataset.json").read_text())["fingerprint"] in card


def test_croissant_names_every_column_and_the_right_bytes(dataset):
    text = json.loads((dataset / "croissant.json").read_text())
    fields = {field["name"]: field["dataType"] for field in text["recordSet"][0]["field"]}
    table = pl.read_parquet(dataset / "cohort.parquet")
    assert list(fields) == table.columns
    assert (fields["patient"], fields["visit"], fields["score.sf_ratio"]) == ("sc:Text", "sc:Integer", "sc:Float")
    for file in text["distribution"]:
        assert file["sha256"] == hashlib.sha256((dataset / file["contentUrl"]).read_bytes()).hexdigest()


def test_croissant_is_read_by_its_own_library(dataset):
    mlcroissant = pytest.importorskip("mlcroissant", reason="checked where mlcroissant is installed")
    found = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    records = list(found.records(record_set="cohort"))
    table = pl.read_parquet(dataset / "cohort.parquet")
    assert [record["cohort/visit"] for record in records] == table["visit"].to_list()
