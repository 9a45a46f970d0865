import itertools
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tfds_builders import volume
from tfds_builders.brain_volumes.brain_volumes_dataset_builder import Builder, Options
from tfds_builders.errors import InputError
from tfds_builders.readers.api import TooLarge, UnsupportedScan, Volume
from tfds_builders.volume import Grid, prepare, resample

ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("LR", "AP", "SI")) for codes in itertools.product(*axes)
]
SMALL = Grid((20, 24, 16), 2.0, "image")


def phantom(at: np.ndarray) -> np.ndarray:
    """A smooth lopsided head at points ``[... 3]`` in mm, brighter to the right, front and top."""
    inside = 1 / (1 + np.exp((np.linalg.norm(at / [14, 18, 12], axis=-1) - 1) * 12))
    return inside * (100 + at @ np.array([1.0, 2.0, 3.0]))


def scan(affine: np.ndarray, shape=(48, 52, 40)) -> Volume:
    """The phantom as a scanner with this affine sees it."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return Volume(phantom(nib.affines.apply_affine(affine, index)).astype(np.float32), affine)


def centred(linear: np.ndarray, shape=(48, 52, 40)) -> np.ndarray:
    return nib.affines.from_matvec(linear, -linear @ ((np.array(shape) - 1) / 2))


def test_all_48_orientations_of_a_volume_are_prepared_alike():
    straight = scan(np.diag([1.0, 1.0, 2.0, 1.0]), (20, 24, 16))
    want = prepare(straight, SMALL)
    assert len(ORIENTATIONS) == 48
    for codes in ORIENTATIONS:
        turn = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
        )
        turned = Volume(
            nib.orientations.apply_orientation(straight.voxels, turn),
            straight.affine @ nib.orientations.inv_ornt_aff(turn, straight.voxels.shape),
        )
        assert nib.aff2axcodes(turned.affine) == tuple(codes)
        np.testing.assert_allclose(prepare(turned, SMALL), want, atol=1e-6)


def test_axes_run_up_back_and_right():
    values = prepare(scan(centred(np.eye(3))), SMALL)
    middle = values[6:-6, 8:-8, 6:-6]
    assert np.diff(middle.mean((1, 2))).min() > 0  # the phantom brightens towards superior …
    assert np.diff(middle.mean((0, 2))).max() < 0  # … anterior, which comes first …
    assert np.diff(middle.mean((0, 1))).min() > 0  # … and right


@pytest.mark.parametrize(("n_in", "n_out"), [(50, 25), (37, 20), (20, 60), (8, 8)])
def test_weights_are_the_antialiased_triangle_of_jax(n_in, n_out):
    import jax

    line = np.random.default_rng(0).random(n_in).astype(np.float32)
    got = volume._weights(n_in, n_out, n_in / n_out) @ line
    np.testing.assert_allclose(got, jax.image.resize(line, (n_out,), "linear"), atol=1e-5)


def test_resampling_plane_by_plane_is_the_triple_product():
    values = np.random.default_rng(0).random((9, 11, 8)).astype(np.float32)
    weights = [volume._weights(n, m, n / m) for n, m in zip(values.shape, (4, 7, 12), strict=True)]
    want = np.einsum("ia,jb,kc,abc->ijk", *weights, values)
    for order in itertools.permutations(range(3)):
        laid = np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))
        np.testing.assert_allclose(volume._separable(laid, weights), want, atol=1e-5)


@pytest.mark.parametrize("angles", [(0.2, 0.0, 0.0), (0.3, -0.25, 0.15), (0.0, 0.0, 0.7)])
def test_an_oblique_scan_shows_the_same_head(angles):
    turn = nib.eulerangles.euler2mat(*angles)
    straight = prepare(scan(centred(np.eye(3))), SMALL)
    oblique = prepare(scan(centred(turn)), SMALL)
    assert np.abs(oblique - straight)[2:-2, 2:-2, 2:-2].mean() < 0.01
    as_if_straight = prepare(Volume(scan(centred(turn)).voxels, centred(np.eye(3))), SMALL)
    assert np.abs(as_if_straight - straight)[2:-2, 2:-2, 2:-2].mean() > 0.02  # the affine is what makes them equal


def test_a_sheared_scan_shows_the_same_head():
    shear = np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.1], [0.0, 0.0, 1.0]])
    straight = prepare(scan(centred(np.eye(3))), SMALL)
    sheared = prepare(scan(centred(shear)), SMALL)
    assert np.abs(sheared - straight)[2:-2, 2:-2, 2:-2].mean() < 0.015


def test_an_oblique_scan_is_black_outside_of_itself():
    values, inside = resample(scan(centred(nib.eulerangles.euler2mat(0.4, 0.0, 0.0))), 2.0)
    assert 0.3 < inside.mean() < 0.95
    assert (values[~inside] == 0).all()
    assert np.isfinite(values).all()


def test_turning_agrees_with_scipy_on_points_of_the_world():
    affine = centred(nib.eulerangles.euler2mat(0.3, -0.2, 0.1) @ np.diag([2.0, 2.0, 2.0]), (24, 26, 20))
    seen = scan(affine, (24, 26, 20))
    values, inside = resample(seen, 2.0)
    index = np.argwhere(inside)[::97]
    world = (index - (np.array(values.shape) - 1) / 2) * 2.0
    back = nib.affines.apply_affine(np.linalg.inv(affine), world)
    want = ndimage.map_coordinates(seen.voxels, back.T, order=1)
    np.testing.assert_allclose(values[tuple(index.T)], want, atol=1e-2)


@pytest.mark.parametrize(
    ("turn", "voxels"),
    [(np.eye(3), 600), (nib.eulerangles.euler2mat(np.pi / 4, 0.0, 0.0), 849)],  # 600 mm, and its diagonal
    ids=["straight", "oblique"],
)
def test_a_volume_that_would_be_huge_once_resampled_is_refused_before_it_is(turn, voxels, monkeypatch):
    monkeypatch.setattr(volume, "_weights", lambda *_: pytest.fail("resampling began"))
    seen = Volume(np.ones((60, 60, 60), np.uint8), centred(turn @ np.diag([10.0, 10, 10]), (60, 60, 60)))
    with pytest.raises(
        TooLarge, match=r"has \d+ voxels along an axis .* 1 mm; the limit is 512\. Mend .* --spacing"
    ) as told:
        resample(seen, 1.0)
    assert abs(int(re.search(r"\d+", told.value.reason)[0]) - voxels) <= 2


def head_with_neck(shift=0) -> Volume:
    """100 slices of 2 mm: a head of 40 above a neck down to the lowest slice, and air on top."""
    voxels = np.random.default_rng(0).random((60, 70, 100)).astype(np.float32)
    voxels[15 + shift : 45 + shift, 15:55, 45:85] += 200
    voxels[25 + shift : 35 + shift, 30:40, :45] += 150
    return Volume(voxels, centred(np.diag([2.0, 2.0, 2.0]), voxels.shape))


def test_the_crop_follows_the_head_and_keeps_its_top():
    grid = Grid((40, 50, 50), 2.0, "head")
    first = prepare(head_with_neck(), grid)
    assert first.shape == (50, 50, 40)
    assert first[-1].max() > 0.5  # the top of the head is the last slice
    np.testing.assert_allclose(prepare(head_with_neck(shift=7), grid)[10:], first[10:], atol=0.02)
    image = prepare(head_with_neck(), Grid((40, 50, 50), 2.0, "image"))  # slices 25 to 75: ten of the head are lost
    assert ((first > 0.5).mean((1, 2)) > 0.4).sum() == 40
    assert ((image > 0.5).mean((1, 2)) > 0.4).sum() == 30


def test_what_is_smaller_than_the_grid_is_padded_with_black():
    values = prepare(scan(np.diag([1.0, 1.0, 1.0, 1.0]), (20, 20, 20)), Grid((40, 40, 40), 1.0, "image"))
    assert values.shape == (40, 40, 40)
    assert values[:9].max() == values[:, :9].max() == values[:, :, :9].max() == 0


def test_the_window_is_not_moved_by_background_outliers_or_a_scale():
    rng = np.random.default_rng(0)
    tissue = rng.normal(500, 80, (40, 40, 40)).astype(np.float32)
    alone = prepare(Volume(tissue, np.eye(4)), Grid((40, 40, 40), 1.0, "image"))
    wide = np.zeros((80, 80, 80), np.float32)
    wide[20:60, 20:60, 20:60] = tissue
    stripped = prepare(Volume(wide, np.eye(4)), Grid((40, 40, 40), 1.0, "image"))
    assert abs(np.median(stripped) - 500 / np.percentile(tissue, 99.5)) < 0.02
    tissue[3, 3, 3], tissue[4, 4, 4], tissue[5, 5, 5] = 1e9, np.nan, -np.inf
    hit = prepare(Volume(tissue, np.eye(4)), Grid((40, 40, 40), 1.0, "image"))
    assert np.abs(np.median(hit) - np.median(alone)) < 0.05
    scaled = prepare(Volume(wide * 7 + 100, np.eye(4)), Grid((40, 40, 40), 1.0, "image"))
    np.testing.assert_allclose(scaled, stripped, atol=1e-3)


def test_a_slope_that_vanishes_is_one_even_grey():
    faint = np.arange(8000.0).reshape(20, 20, 20) * 1e-43
    with pytest.raises(UnsupportedScan, match="is one even grey"):
        prepare(Volume(faint, np.eye(4)), SMALL)


def test_so_few_voxels_that_none_lies_inside_are_refused():
    turn = np.array([[np.cos(0.6), -np.sin(0.6), 0], [np.sin(0.6), np.cos(0.6), 0], [0, 0, 1]])
    with pytest.raises(UnsupportedScan, match=r"too few voxels|is one even grey"):
        prepare(Volume(np.arange(8.0).reshape(2, 2, 2), centred(turn, (2, 2, 2))), SMALL)


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_an_even_volume_is_refused(value):
    with pytest.raises(UnsupportedScan, match=r"is one even grey: percentiles 0\.5 and 99\.5 of it are alike"):
        prepare(Volume(np.full((20, 20, 20), value), np.eye(4)), SMALL)


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 1 / 255), ("uint16", 1 / 65535), ("float16", 2.0**-11)])
def test_stored_types_give_the_intensity_back(tmp_path, dtype, step):
    seen = scan(centred(np.eye(3)))
    nib.save(nib.Nifti1Image(seen.voxels, seen.affine), tmp_path / "a.nii.gz")
    options = Options(shape=(16, 24, 20), around="image", dtype=dtype)
    record = Builder.read({"path": tmp_path / "a.nii.gz"}, options)
    assert record.scan.dtype == Builder.dtype(options) == dtype
    assert record.scan.shape == Builder.shape(options) == (16, 24, 20, 1)
    np.testing.assert_array_equal(record.spacing, [2, 2, 2])
    got = record.scan[..., 0].astype(np.float64) * record.scale + record.offset
    np.testing.assert_allclose(got, prepare(seen, SMALL), atol=0.51 * step)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shape": (4, 96, 96)}, "--shape is 4 96 96; each of the three must be at least 8"),
        ({"spacing": 0.0}, "--spacing is 0; it is in mm"),
        ({"orientation": "RAL"}, "--orientation is 'RAL'; it takes one of L and R"),
        ({"orientation": "up"}, "--orientation is 'up'"),
    ],
)
def test_impossible_options_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        Options(**change)


@pytest.mark.parametrize("dtype", ["<i2", "<f8"])
def test_a_build_of_large_oblique_volumes_stays_under_a_gibibyte(tmp_path, make, dtype):
    turn = np.diag([0.8, 0.8, 0.8, 1.0])
    turn[:2, :2] = 0.8 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    plane = np.random.default_rng(0).integers(0, 1000, (300, 300, 1)).astype(dtype)
    head = nib.Nifti1Header()
    head.set_data_dtype(dtype)
    rows = []
    for i in range(2):
        nib.save(nib.Nifti1Image(np.repeat(plane, 300, axis=2), turn, head), tmp_path / f"{i}.nii")
        rows.append({"scan": f"{i}.nii", "patient": i, "visit": 0, "time_days": 0, "view": "T1", "age": i})
    flags = ["--cohort", str(make.cohort(tmp_path / "cohort.csv", rows)), "--scores", "age", "--processes", "1"]
    command = ["brain_volumes", "--data_dir", str(tmp_path / "out"), *flags]
    # The peak of its own memory map; what the system counts for a child begins with its parent's.
    own = (
        f"from tfds_builders import build; assert not build.main({command!r}); print(open('/proc/self/status').read())"
    )
    done = subprocess.run([sys.executable, "-c", own], capture_output=True, text=True, check=True)
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", done.stdout)[1]) / 1024
    assert peak < 1024, f"{peak:.0f} MiB"
