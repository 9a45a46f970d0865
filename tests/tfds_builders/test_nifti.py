import gzip
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from tfds_builders.readers import kinds, mgh, nifti
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import Limits

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.3, -0.2, 0.1) @ np.diag([1.0, 1.5, 2.0]), [-90.0, 20.0, 7.0]
)


def voxels(dtype=np.int16, shape=(7, 6, 5)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.img", "a.hdr.gz", "a.img.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti1Pair, nib.Nifti2Image])
def test_every_layout_gives_the_same_voxels_and_affine(tmp_path, name, kind):
    if (".nii" in name) == (kind is nib.Nifti1Pair):
        pytest.skip("a pair is .hdr and .img")
    nib.save(kind(voxels(), OBLIQUE), tmp_path / name)
    got = nifti.read(tmp_path / name)
    np.testing.assert_array_equal(got.voxels, voxels())
    np.testing.assert_allclose(got.affine, OBLIQUE, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_byte_orders(tmp_path, dtype, order):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(voxels(dtype), OBLIQUE, header), tmp_path / "a.nii.gz")
    assert (tmp_path / "a.nii.gz").stat().st_size
    np.testing.assert_array_equal(nifti.read(tmp_path / "a.nii.gz").voxels, voxels(dtype))


def test_slope_and_intercept_are_applied_where_they_are_numbers(tmp_path):
    image = nib.Nifti1Image(voxels(), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "a.nii")
    want = nib.load(tmp_path / "a.nii").get_fdata()
    np.testing.assert_allclose(nifti.read(tmp_path / "a.nii").voxels, want, rtol=1e-6)
    plain = bytearray((tmp_path / "a.nii").read_bytes())
    for slope, intercept in ((0.0, 7.0), (float("nan"), float("nan"))):  # both mean: none
        struct.pack_into("<2f", plain, 112, slope, intercept)
        (tmp_path / "b.nii").write_bytes(plain)
        assert nifti.read(tmp_path / "b.nii").voxels.dtype == np.int16


def test_units_are_turned_into_millimetres(tmp_path):
    image = nib.Nifti1Image(voxels(), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(nib.affines.voxel_sizes(nifti.read(tmp_path / "a.nii").affine), [1, 2, 3], rtol=1e-5)


def test_units_hold_for_a_header_that_does_not_say_where_axes_run_too(tmp_path):
    image = nib.load(without_orientation(tmp_path / "a.nii"))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "b.nii")
    content = bytearray((tmp_path / "b.nii").read_bytes())
    struct.pack_into("<3f", content, 80, 0.001, 0.0015, 0.002)  # pixdim; nibabel takes it from the affine
    (tmp_path / "b.nii").write_bytes(content)
    np.testing.assert_allclose(nib.affines.voxel_sizes(nifti.read(tmp_path / "b.nii", "RAS").affine), [1, 1.5, 2])


@pytest.mark.parametrize(("kind", "least"), [(nib.Nifti1Image, 352), (nib.Nifti2Image, 544)])
def test_voxels_never_begin_within_the_header(tmp_path, kind, least):
    nib.save(kind(voxels(), np.eye(4)), tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    place, form = (108, "<f") if least == 352 else (168, "<q")
    assert struct.unpack_from(form, content, place) == (least,)
    for start, tail, sentence in (
        (0, b"", ""),
        (0, b"\0\0", "its voxels begin at byte 0, and its header ends at"),
        (16, b"", "its voxels begin at byte 16, and its header ends at"),
    ):
        struct.pack_into(form, content, place, start)
        (tmp_path / "b.nii").write_bytes(content + tail)
        if sentence:
            with pytest.raises(UnreadableScan, match=f"{sentence} {least}"):
                nifti.read(tmp_path / "b.nii")
        else:
            np.testing.assert_array_equal(nifti.read(tmp_path / "b.nii").voxels, voxels())


@pytest.mark.parametrize("name", ["A.IMG", "A.HDR", "a.img.IMG"])
def test_the_halves_of_a_pair_are_found_in_capitals(tmp_path, name):
    nib.save(nib.Nifti1Pair(voxels(), OBLIQUE), tmp_path / "b.hdr")
    for suffix in (".hdr", ".img"):
        (tmp_path / f"b{suffix}").rename(tmp_path / f"{name[:-4]}{suffix.upper()}")
    assert kinds.kind(tmp_path / name) == "nifti"
    np.testing.assert_array_equal(nifti.read(tmp_path / name).voxels, voxels())


def test_one_volume_in_four_axes_is_one_volume(tmp_path):
    nib.save(nib.Nifti2Image(voxels()[..., None], np.eye(4)), tmp_path / "a.nii")
    assert nifti.read(tmp_path / "a.nii").voxels.shape == (7, 6, 5)
    nib.save(nib.Nifti1Image(np.stack([voxels(), voxels()], axis=-1), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(UnsupportedScan, match=r"holds 2 volumes \(7x6x5x2\)"):
        nifti.read(tmp_path / "b.nii")


def without_orientation(path, codes=(0, 0)):
    image = nib.Nifti1Image(voxels(), np.diag([1.0, 1.5, 2.0, 1.0]))
    image.set_qform(None, code=codes[0])
    image.set_sform(None, code=codes[1])
    image.header["pixdim"][1:4] = [1.0, 1.5, 2.0]
    nib.save(image, path)
    return path


@pytest.mark.parametrize("layout", ["nifti", "analyze"])
def test_a_header_that_does_not_say_where_axes_run_needs_help(tmp_path, layout):
    path = tmp_path / ("a.nii" if layout == "nifti" else "a.hdr")
    if layout == "nifti":
        without_orientation(path)
    else:
        image = nib.AnalyzeImage(voxels(), None)
        image.header.set_zooms([1.0, 1.5, 2.0])
        nib.save(image, path)
    with pytest.raises(UnsupportedScan, match=r"does not say where its axes run .*--orientation, as in RAS or LAS"):
        nifti.read(path)
    nifti.probe(path)
    got = nifti.read(path, "LSP").affine
    assert nib.aff2axcodes(got) == ("L", "S", "P")
    np.testing.assert_allclose(nib.affines.voxel_sizes(got), [1.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("affine", "sentence"),
    [
        (np.diag([1.0, 1.0, 0.0, 1.0]), "states voxels of 1 x 1 x 0 mm"),
        (np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "folds the volume flat"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "entries that are no numbers"),
        (np.diag([1.0, 1.0, 1000.0, 1.0]), "states voxels of 1 x 1 x 1000 mm"),
        (np.diag([1.0, 1.0, 1e-6, 1.0]), "states voxels of 1 x 1 x 1e-06 mm"),
    ],
)
def test_an_affine_that_cannot_be_is_refused(tmp_path, affine, sentence):
    nib.save(nib.Nifti1Image(voxels(), np.eye(4)), tmp_path / "a.nii")
    plain = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<12f", plain, 280, *affine[:3].ravel())
    (tmp_path / "a.nii").write_bytes(plain)
    with pytest.raises(UnsupportedScan, match=sentence):
        nifti.read(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (np.ones((4, 4), np.uint8), "has the shape 4x4; a volume has three axes"),
        (np.ones((4, 4, 4), np.complex64), "holds colours or complex numbers"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "a volume of grey values is needed"),
    ],
)
def test_what_is_no_grey_volume_is_refused(tmp_path, content, sentence):
    nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / "a.nii")
    for act in (nifti.read, nifti.probe):
        with pytest.raises(UnsupportedScan, match=sentence):
            act(tmp_path / "a.nii")


def test_damage_is_found(tmp_path):
    nib.save(nib.Nifti1Image(voxels(shape=(20, 20, 20)), np.eye(4)), tmp_path / "whole.nii.gz")
    whole = (tmp_path / "whole.nii.gz").read_bytes()
    plain = gzip.decompress(whole)
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 0x10
    for name, data, sentence in (
        ("cut.nii.gz", whole[: len(whole) // 2], "is cut off: its compressed data ends too early"),
        ("no_sum.nii.gz", whole[:-4], "is cut off"),
        ("flipped.nii.gz", bytes(flipped), "is damaged: its compressed data is not what was written"),
        ("short.nii", plain[:-1], "is cut off: .* bytes, and its header needs"),
        ("short_inside.nii.gz", gzip.compress(plain[:-1]), "is cut off: .* bytes, and its header needs"),
        ("table.nii", b"scan,patient\n" * 50, "is not a NIfTI volume"),
        ("empty.nii", b"", "is not a NIfTI volume"),
        ("half.img", b"", "its .hdr is missing beside it"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableScan, match=sentence):
            nifti.read(tmp_path / name)
    with pytest.raises(UnreadableScan, match="cannot be opened: No such file"):
        nifti.read(tmp_path / "absent.nii")


def test_half_a_pair_may_not_link_to_another_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    nib.save(nib.Nifti1Pair(voxels(), np.eye(4)), tmp_path / "a" / "x.hdr")
    (tmp_path / "b" / "x.hdr").write_bytes((tmp_path / "a" / "x.hdr").read_bytes())
    (tmp_path / "b" / "x.img").symlink_to(tmp_path / "a" / "x.img")
    with pytest.raises(UnreadableScan, match="is a link to another folder"):
        nifti.read(tmp_path / "b" / "x.hdr")


def test_gzip_members_are_joined(tmp_path):
    nib.save(nib.Nifti1Image(voxels(), np.eye(4)), tmp_path / "a.nii")
    plain = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii").write_bytes(gzip.compress(plain[:399]) + gzip.compress(plain[399:]) + bytes(100))
    np.testing.assert_array_equal(nifti.read(tmp_path / "b.nii").voxels, voxels())


def test_limits_hold_before_memory_is_taken(tmp_path):
    nib.save(nib.Nifti1Image(voxels(), np.eye(4)), tmp_path / "a.nii")
    plain = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<4h", plain, 40, 3, 5000, 5000, 5000)
    (tmp_path / "huge.nii").write_bytes(plain)
    (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes() + bytes(1 << 26)))
    struct.pack_into("<4h", plain, 40, 3, 20000, 2, 2)
    (tmp_path / "long.nii").write_bytes(plain)
    tracemalloc.start()
    for name, sentence in (
        ("huge.nii", "would take .* MiB in memory"),
        ("huge.nii.gz", "would take .* MiB in memory"),
        ("bomb.nii.gz", "unpacks to more than 200 times its size"),
        ("long.nii", "declares 20000x2x2 voxels; the limit is 8192 along an axis"),
    ):
        with pytest.raises(TooLarge, match=sentence):
            nifti.read(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    nib.save(nib.Nifti1Image(voxels(), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(TooLarge, match="takes more than 0 s to decode"):
        nifti.read(tmp_path / "a.nii.gz", limits=Limits(seconds=0.0))


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh"])
def test_freesurfer_volumes(tmp_path, name):
    affine = OBLIQUE.copy()
    nib.save(nib.MGHImage(voxels(), affine.astype(np.float32)), tmp_path / name)
    got = mgh.read(tmp_path / name)
    mgh.probe(tmp_path / name)
    np.testing.assert_array_equal(got.voxels, voxels())
    np.testing.assert_allclose(got.affine, affine, atol=1e-4)


def test_freesurfer_damage_is_found(tmp_path):
    nib.save(nib.MGHImage(voxels(shape=(20, 20, 20)), np.eye(4, dtype=np.float32)), tmp_path / "a.mgz")
    packed = (tmp_path / "a.mgz").read_bytes()
    plain = gzip.decompress(packed)
    unsaid = bytearray(plain)
    struct.pack_into(">h", unsaid, 28, 0)
    for data, error, sentence in (
        (packed[:-9], UnreadableScan, "is cut off"),
        (plain[:5000], UnreadableScan, "holds fewer voxels than its header says"),
        (plain[:100], UnreadableScan, "is not a FreeSurfer volume"),
        (bytes(unsaid), UnsupportedScan, "does not say where its axes run"),
        (struct.pack(">7i", 1, 9000, 9, 9, 1, 0, 0) + plain[28:], TooLarge, "declares 9000 voxels along an axis"),
        (struct.pack(">7i", 1, 5, 5, 5, 4, 0, 0) + plain[28:], UnsupportedScan, "holds 4 volumes"),
    ):
        (tmp_path / "b.mgz").write_bytes(data)
        with pytest.raises(error, match=sentence):
            mgh.read(tmp_path / "b.mgz")
    (tmp_path / "b.mgz").write_bytes(bytes(unsaid))
    assert nib.aff2axcodes(mgh.read(tmp_path / "b.mgz", "LIA").affine) == ("L", "I", "A")
