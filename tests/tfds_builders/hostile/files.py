"""Writes hostile and broken files. A case is a name, what is to read it, and a function that makes it in a folder."""

import dataclasses
import gzip
import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import nibabel as nib
import numpy as np
import pydicom
import pydicom.data
from isal import isal_zlib
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from tests.tfds_builders.conftest import moving_bar, write_video, write_volume

GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Case:
    """A file and what must come of it."""

    name: str
    reader: str  # clip, volume or cohort
    make: Callable[[Path], Path]
    unprivileged: bool = False  # to be read by a user who may not
    harmless: bool = False  # it is read, and what is wrong with it costs nothing


CASES: list[Case] = []


def case(name: str, reader: str, **fields) -> Callable:
    """Register the function below it."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(name, reader, make, **fields))
        return make

    return register


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zeros(n: int, wbits: int, head: bytes = b"") -> bytes:
    """``head`` and ``n`` zero bytes, compressed to a thousandth: one piece, repeated after a full flush."""
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 22)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    deflated = begin + packed * (n >> 22) + packer.flush()
    if wbits == -15:
        return deflated
    summed = isal_zlib.crc32 if wbits == 31 else isal_zlib.adler32
    check = summed(head)
    for _ in range(n >> 22):
        check = summed(piece, check)
    if wbits == 31:
        size = len(head) + (n >> 22 << 22)
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated + struct.pack("<2I", check, size & 0xFFFFFFFF)
    return b"\x78\xda" + deflated + struct.pack(">I", check)


# --- bombs ---


def nifti_header(shape=(64, 64, 64), kind=4, bits=16, **fields) -> bytes:
    """352 bytes of a NIfTI-1 header with an identity sform, whatever it claims."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<2h", head, 70, kind, bits)
    struct.pack_into("<8f", head, 76, *[1.0] * 8)
    struct.pack_into("<3f", head, 108, fields.get("offset", 352.0), fields.get("slope", 1.0), 0.0)
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, *fields.get("affine", (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)))
    head[344:348] = b"n+1\0"
    return bytes(head)


@case("gzip bomb: 2 GiB in 2 MiB, as .nii.gz", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(2 * GIB, 31, nifti_header((1000, 1000, 900))))


@case("gzip bomb behind a header of 64 voxels cubed", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(GIB, 31, nifti_header()))


@case("gzip bomb within the stated size: 500 voxels cubed", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(GIB // 2, 31, nifti_header((500, 500, 500))))


for _name, _shape, _affine in (
    ("64 voxels cubed of 90 mm", (64, 64, 64), (90, 0, 0, 0, 0, 90, 0, 0, 0, 0, 90, 0)),
    ("64 voxels cubed of 16 mm, turned by 45 degrees", (64, 64, 64), (11, -11, 0, 0, 11, 11, 0, 0, 0, 0, 16, 0)),
    ("a row of 8,000 voxels of 50 mm", (8000, 1, 1), (50, 0, 0, 0, 0, 50, 0, 0, 0, 0, 50, 0)),
):

    @case(f"gzip of {_name}, which are gigabytes at 2 mm", "volume")
    def _(folder, shape=_shape, affine=_affine):
        values = np.random.default_rng(0).integers(0, 2, shape, np.int16)
        return put(folder / "a.nii.gz", gzip.compress(nifti_header(shape, affine=affine) + values.tobytes()))


@case("gzip bomb without a header", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(GIB, 31))


@case("gzip in gzip", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(0, 31, zeros(GIB, 31)))


@case("gzip bomb of 100 members", "volume")
def _(folder):
    return put(folder / "a.nii.gz", zeros(0, 31, nifti_header((900, 1000, 900), 2, 8)) + zeros(1 << 23, 31) * 100)


@case("gzip bomb as .mgz", "volume")
def _(folder):
    head = struct.pack(">7i", 1, 600, 600, 600, 1, 0, 0).ljust(284, b"\0")
    return put(folder / "a.mgz", zeros(GIB, 31, head))


@case("gzip bomb named .mp4", "clip")
def _(folder):
    return put(folder / "a.mp4", zeros(GIB, 31))


def dicom(pixels: bytes = bytes(64 * 64), syntax=ExplicitVRLittleEndian, **fields) -> FileDataset:
    """An ultrasound file of one 64x64 frame, whatever it claims."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.3.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    values = {
        **{"Rows": 64, "Columns": 64, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
        **{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "BurnedInAnnotation": "NO"},
        **{"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1", "SOPInstanceUID": "1.2.3"},
    }
    for name, value in (values | fields).items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB"
    if syntax.is_encapsulated:
        dataset["PixelData"].is_undefined_length = True
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path)
    return path


for _photometric, _samples in (("MONOCHROME2", 3), ("HSV", 3), ("ARGB", 3), ("YBR_FULL", 1), ("RGB", 1)):

    @case(f"DICOM of {_samples} samples a pixel that says {_photometric}", "clip")
    def _(folder, photometric=_photometric, samples=_samples):
        planes = {"PlanarConfiguration": 0} if samples > 1 else {}
        pixels = bytes(range(256)) * (16 * samples)
        about = {"PhotometricInterpretation": photometric, "SamplesPerPixel": samples, **planes}
        return save(dicom(pixels, **about), folder / "a.dcm")


@case("deflated DICOM bomb: 1 GiB in 1 MiB", "clip")
def _(folder):
    plain = save(dicom(), folder / "plain.dcm").read_bytes()
    deflated = plain.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20], 1)
    meta_end = 144 + int.from_bytes(plain[140:144], "little")
    meta = bytearray(deflated[:meta_end].replace(b"1.2.840.10008.1.2.1.", b"1.2.840.10008.1.2.1.99"))
    at = meta.index(b"1.2.840.10008.1.2.1.99")
    struct.pack_into("<H", meta, at - 2, 22)
    struct.pack_into("<I", meta, 140, len(meta) - 144)
    private = struct.pack("<HH2sHI", 9, 0x1010, b"OB", 0, GIB)
    return put(folder / "a.dcm", bytes(meta) + zeros(GIB, -15, private))


@case("RLE frame that unpacks beyond its stated size", "clip")
def _(folder):
    runs = b"\x81\x00" * (1 << 20)  # each two bytes are 128
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + runs
    return save(dicom(pydicom.encaps.encapsulate([frame]), RLELossless), folder / "a.dcm")


@case("JPEG frame of 65,000x65,000 in a DICOM file of 64x64", "clip")
def _(folder):
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(jpeg, "JPEG")
    data = bytearray(jpeg.getvalue())
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65000, 65000)
    return save(dicom(pydicom.encaps.encapsulate([bytes(data)]), JPEGBaseline8Bit), folder / "a.dcm")


for _name, _byte in (("MR_small_jp2klossless.dcm", 70), ("SC_rgb_jpeg_gdcm.dcm", 45), ("SC_rgb_jpeg_gdcm.dcm", 65)):

    @case(f"{_name} with byte {_byte} of its picture turned round: the decoder aborts", "clip")
    def _(folder, name=_name, byte=_byte):
        dataset = pydicom.dcmread(Path(pydicom.data.__file__).parent / "test_files" / name)
        dataset.BurnedInAnnotation = "NO"
        content = bytearray(save(dataset, folder / "a.dcm").read_bytes())
        content[content.index(b"\xe0\x7f\x10\x00") + byte] ^= 0xFF
        return put(folder / "a.dcm", bytes(content))


@case("GIF of 65,535x65,535", "clip")
def _(folder):
    write_video(folder / "a.gif", moving_bar(3), "gif", "rgb8")
    data = bytearray((folder / "a.gif").read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    return put(folder / "a.gif", bytes(data))


@case("GIF of 40,000 frames", "clip")
def _(folder):
    one = b"!\xf9\x04\x00\x01\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00"
    return put(folder / "a.gif", b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + one * 40_000 + b";")


def png(width: int, height: int, packed: bytes, *more: tuple[bytes, bytes], grey: bool = True) -> bytes:
    """Of 8 bits of grey a pixel, or of 3 x 16 of colour."""
    head = struct.pack(">IIBBBBB", width, height, *((8, 0) if grey else (16, 2)), 0, 0, 0)
    chunks = [(b"IHDR", head), *more, (b"IDAT", packed), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def growing(folder: Path, name: str, sides: tuple[int, ...]) -> Path:
    """A video whose header says 64x64, with frames of other sizes."""
    with av.open(str(folder / name), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24"
        for at, side in enumerate(sides):
            packet = av.Packet(png(side, side, zeros(side * (6 * side + 1), 15), grey=False))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), True
            packet.pts = packet.dts = at
            container.mux(packet)
    return folder / name


@case("video whose first frame is 12,000x12,000 instead of 64x64", "clip")
def _(folder):
    return growing(folder, "a.avi", (12_000,))


@case("video that grows from 64x64 to 12,000x12,000", "clip")
def _(folder):
    return growing(folder, "a.mov", (64, 12_000))


@case("PNG of 30,000x30,000", "clip")
def _(folder):
    return put(folder / "a.png", png(30_000, 30_000, zeros(900 << 20, 15)))


@case("PNG of 8,000x8,000", "clip")
def _(folder):
    return put(folder / "a.png", png(8000, 8000, zeros(64 << 20, 15)))


@case("PNG of 64x64 with pixels for 1 GiB", "clip")
def _(folder):
    return put(folder / "a.png", png(64, 64, zeros(GIB, 15)[: 1 << 20]))


@case("PNG with a text of 1 GiB", "clip")
def _(folder):
    text = (b"zTXt", b"note\0\0" + zeros(GIB, 15))
    return put(folder / "a.png", png(64, 64, zlib.compress(bytes(64 * 65)), text))


@case("JPEG of 65,500x65,500", "clip")
def _(folder):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "a.jpg")
    data = bytearray((folder / "a.jpg").read_bytes())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65_500, 65_500)
    return put(folder / "a.jpg", bytes(data))


@case("TIFF of 100,000x100,000", "clip")
def _(folder):
    tags = [(256, 4, 100_000), (257, 4, 100_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 8)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return put(folder / "a.tif", b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(12))


@case("TIFF of 500 pages", "clip")
def _(folder):
    page = Image.fromarray(np.zeros((8, 8), np.uint8))
    page.save(folder / "a.tif", save_all=True, append_images=[page] * 499)
    return folder / "a.tif"


@case("BMP of 60,000x60,000", "clip")
def _(folder):
    head = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 8, *[0] * 6)
    return put(folder / "a.bmp", head)


@case("film of 16,384x16 pixels", "clip")
def _(folder):
    return write_video(folder / "a.avi", np.zeros((2, 16, 16384), np.uint8), "mjpeg", "yuvj420p")


# --- headers that lie ---


@case("NIfTI header of 452 bytes that claims 32,767 voxels cubed", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header((32767, 32767, 32767)) + bytes(100))


@case("NIfTI header that claims 8,000 voxels cubed", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header((8000, 8000, 8000)))


@case("NIfTI with an axis of 0 voxels", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header((64, 0, 64)))


@case("NIfTI with an axis of -5 voxels", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header((64, -5, 64)))


@case("NIfTI whose voxels begin at byte -1e30", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(offset=-1e30) + bytes(1 << 19))


@case("NIfTI whose voxels begin at byte NaN", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(offset=float("nan")) + bytes(1 << 19))


@case("NIfTI of an unknown type of voxel", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(kind=9999) + bytes(1 << 19))


@case("NIfTI with 5 volumes", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header((16, 16, 16, 5)) + bytes(16**3 * 10))


@case("FreeSurfer header that claims 2^31 voxels an axis", "volume")
def _(folder):
    return put(folder / "a.mgh", struct.pack(">7i", 1, 2**31 - 1, 2**31 - 1, 2**31 - 1, 1, 0, 0).ljust(400, b"\0"))


@case("DICOM that claims 65,535x65,535 pixels", "clip")
def _(folder):
    return save(dicom(Rows=65535, Columns=65535), folder / "a.dcm")


@case("DICOM that claims 2^31 frames", "clip")
def _(folder):
    return save(dicom(NumberOfFrames=2**31 - 1), folder / "a.dcm")


@case("DICOM that claims 5,000 frames of 8,000x4,000", "clip")
def _(folder):
    return save(dicom(NumberOfFrames=5000, Rows=4000, Columns=8000), folder / "a.dcm")


@case("DICOM of 0x0 pixels", "clip")
def _(folder):
    return save(dicom(Rows=0, Columns=0), folder / "a.dcm")


@case("DICOM with -3 frames", "clip")
def _(folder):
    return save(dicom(NumberOfFrames=-3), folder / "a.dcm")


@case("DICOM with an element of 4 GiB less 2 bytes", "clip", harmless=True)
def _(folder):
    plain = bytearray(save(dicom(bytes(range(64)) * 64), folder / "a.dcm").read_bytes())
    at = plain.index(b"\xe0\x7f\x10\x00")
    struct.pack_into("<I", plain, at + 8, 2**32 - 2)
    return put(folder / "a.dcm", bytes(plain))


@case("DICOM of 2,000 nested sequences", "clip")
def _(folder):
    plain = save(dicom(), folder / "a.dcm").read_bytes()
    sequence = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 2**32 - 1) + struct.pack("<HHI", 0xFFFE, 0xE000, 2**32 - 1)
    meta_end = 144 + int.from_bytes(plain[140:144], "little")
    return put(folder / "a.dcm", plain[:meta_end] + sequence * 2000 + plain[meta_end:])


@case("DICOM with 16 values where one is due", "clip")
def _(folder):
    item = Dataset()
    item.RegionSpatialFormat, item.RegionLocationMinX0 = 1, 2**31 - 1
    item.RegionLocationMinY0 = item.RegionLocationMaxX1 = item.RegionLocationMaxY1 = 2**31 - 1
    dataset = dicom(SequenceOfUltrasoundRegions=Sequence([item] * 16), BurnedInAnnotation="YES")
    return save(dataset, folder / "a.dcm")


@case("DICOM without a picture", "clip")
def _(folder):
    dataset = dicom()
    del dataset.PixelData
    return save(dataset, folder / "a.dcm")


@case("DICOM that may show a name", "clip")
def _(folder):
    return save(dicom(BurnedInAnnotation="YES"), folder / "a.dcm")


@case("video of no frames", "clip")
def _(folder):
    with av.open(str(folder / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    return folder / "a.avi"


@case("AVI that claims 2^31 frames", "clip")
def _(folder):
    data = bytearray(write_video(folder / "a.avi", moving_bar(4)).read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, 2**31 - 1)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, 2**31 - 1)
    return put(folder / "a.avi", bytes(data))


@case("MP4 whose index claims 2^31 samples", "clip")
def _(folder):
    data = bytearray(write_video(folder / "a.mp4", moving_bar(4)).read_bytes())
    struct.pack_into(">I", data, data.index(b"stts") + 12, 2**31 - 1)
    struct.pack_into(">I", data, data.index(b"stsz") + 12, 2**31 - 1)
    return put(folder / "a.mp4", bytes(data))


# --- values that are no numbers ---


@case("NIfTI of NaN alone", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(kind=16, bits=32) + np.full(64**3, np.nan, "<f4").tobytes())


@case("NIfTI of infinities alone", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(kind=16, bits=32) + np.full(64**3, np.inf, "<f4").tobytes())


@case("NIfTI with an affine of NaN", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(affine=[float("nan")] * 12) + bytes(2 * 64**3))


@case("NIfTI with an affine of zeros", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(affine=[0.0] * 12) + bytes(2 * 64**3))


@case("NIfTI with a slope of infinity", "volume")
def _(folder):
    return put(folder / "a.nii", nifti_header(slope=float("inf")) + bytes(2 * 64**3))


# --- files that are something else ---


@case("text named .mp4", "clip")
def _(folder):
    return put(folder / "a.mp4", b"scan,patient\n" * 100)


@case("text named .nii", "volume")
def _(folder):
    return put(folder / "a.nii", b"scan,patient\n" * 100)


@case("random bytes named .dcm", "clip")
def _(folder):
    return put(folder / "a.dcm", np.random.default_rng(0).bytes(1 << 16))


@case("web page named .gif", "clip")
def _(folder):
    return put(folder / "a.gif", b"<!doctype html><title>Not found</title>" * 20)


@case("archive (zip) named .nii.gz", "volume")
def _(folder):
    with zipfile.ZipFile(folder / "a.nii.gz", "w") as file:
        file.writestr("a.nii", nifti_header())
    return folder / "a.nii.gz"


@case("playlist that names another file", "clip")
def _(folder):
    write_video(folder / "secret.mp4", moving_bar())
    return put(folder / "a.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n")


@case("concatenation script that names another file", "clip")
def _(folder):
    write_video(folder / "secret.mp4", moving_bar())
    return put(folder / "a.mp4", b"ffconcat version 1.0\nfile secret.mp4\n")


@case("sound without pictures", "clip")
def _(folder):
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return folder / "a.mp4"


@case("volume where a clip is due", "clip")
def _(folder):
    return write_volume(folder / "a.nii.gz")


@case("clip where a volume is due", "volume")
def _(folder):
    return write_video(folder / "a.nii.gz", moving_bar(), format="mp4")


for _suffix, _reader in (
    (".mp4", "clip"),
    (".dcm", "clip"),
    (".png", "clip"),
    (".nii.gz", "volume"),
    (".mgz", "volume"),
):
    case(f"empty {_suffix}", _reader)(lambda folder, suffix=_suffix: put(folder / f"a{suffix}", b""))


@case("folder named .mp4", "clip")
def _(folder):
    (folder / "a.mp4").mkdir()
    return folder / "a.mp4"


@case("folder without slices", "volume")
def _(folder):
    put(folder / "readme.txt", b"nothing")
    return folder


@case("pipe that nobody writes to", "clip")
def _(folder):
    os.mkfifo(folder / "a.mp4")
    return folder / "a.mp4"


@case("pipe in a folder of slices", "volume")
def _(folder):
    os.mkfifo(folder / "a.dcm")
    return folder


@case("socket", "clip")
def _(folder):
    at = folder / "a.mp4"
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("a.mp4")
    finally:
        os.chdir(here)
    return at


@case("device: /dev/zero", "volume")
def _(folder):
    return Path("/dev/zero")


@case("link that points at nothing", "clip")
def _(folder):
    (folder / "a.mp4").symlink_to("b.mp4")
    return folder / "a.mp4"


@case("links in a circle", "clip")
def _(folder):
    (folder / "a.mp4").symlink_to("b.mp4")
    (folder / "b.mp4").symlink_to("a.mp4")
    return folder / "a.mp4"


@case("file that may not be read", "clip", unprivileged=True)
def _(folder):
    path = write_video(folder / "a.mp4", moving_bar(3))
    path.chmod(0)
    return path


@case("folder that may not be read", "volume", unprivileged=True)
def _(folder):
    (folder / "series").mkdir(mode=0)
    return folder / "series"


# --- cut off, at many places ---


def _sound(folder: Path, suffix: str) -> Path:
    grey = moving_bar(24, 64, 64)
    path = folder / f"sound{suffix}"
    if suffix in (".mp4", ".avi", ".mkv", ".mov"):
        return write_video(path, grey)
    if suffix == ".gif":
        return write_video(path, grey, "gif", "rgb8")
    if suffix in (".png", ".jpg", ".tif", ".bmp"):
        Image.fromarray(grey[0]).save(path)
        return path
    if suffix == ".dcm":
        return save(dicom(grey[:8].tobytes(), NumberOfFrames=8), path)
    if suffix == ".mgz":
        noise = np.random.default_rng(0).integers(0, 255, (24, 24, 24)).astype(np.uint8)
        nib.save(nib.MGHImage(noise, np.eye(4)), path)
        return path
    return write_volume(path, shape=(32, 32, 32))


def sound(folder: Path, suffix: str) -> Path:
    """A small file of that kind with nothing wrong."""
    return _sound(folder, suffix)


VOLUMES = (".nii", ".nii.gz", ".mgz")
KINDS = (".mp4", ".mov", ".avi", ".mkv", ".gif", ".png", ".jpg", ".tif", ".bmp", ".dcm", *VOLUMES)


def _cut(suffix: str, part: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        data = _sound(folder, suffix).read_bytes()
        return put(folder / f"a{suffix}", data[: min(int(len(data) * part), len(data) - 1)])

    return make


for _suffix in KINDS:
    for _part in (0.02, 0.3, 0.6, 0.9):
        _reader = "volume" if _suffix in VOLUMES else "clip"
        case(f"{_suffix} cut off at {_part:.0%}", _reader)(_cut(_suffix, _part))


# --- cohorts ---

_LINE = "scan,patient,visit,time_days,view,severity\n"
_ROW = "a.mp4,P1,0,0,L1,1\n"


def _cohort(folder: Path, content: bytes) -> Path:
    put(folder / "a.mp4", b"")
    return put(folder / "cohort.csv", content)


for _name, _content in {
    "empty": b"",
    "blank lines alone": b"\n\n\n",
    "a header alone": _LINE.encode(),
    "a field of 10 MB": (_LINE + "a.mp4," + "x" * 10_000_000 + ",0,0,L1,1\n").encode(),
    "a quote that never ends": (_LINE + '"a.mp4,P1,0,0,L1,1\n' + _ROW * 50_000).encode(),
    "100,000 columns": (_LINE.strip() + "," + ",".join(f"c{i}" for i in range(100_000)) + "\n" + _ROW).encode(),
    "one scan twice": (_LINE + _ROW + _ROW).encode(),
    "UTF-16": (_LINE + _ROW).encode("utf-16"),
    "bytes of a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "a NUL": (_LINE + "a.mp4,P\0 1,0,0,L1,1\n").encode(),
    "a path that leaves": (_LINE + "../../../etc/hostname,P1,0,0,L1,1\n").encode(),
    "an absolute path": (_LINE + "/etc/hostname,P1,0,0,L1,1\n").encode(),
    "a path of 5,000 letters": (_LINE + "x" * 5000 + ",P1,0,0,L1,1\n").encode(),
    "a score of 1e999": (_LINE + "a.mp4,P1,0,0,L1,1e999\n").encode(),
    "a visit of 10^30": (_LINE + f"a.mp4,P1,{10**30},0,L1,1\n").encode(),
    "a view of another alphabet": (_LINE + "a.mp4,P1,0,0,\u202e肺,1\n").encode(),
    "200,000 faulty rows": (_LINE + "b.mp4,,x,y,,z\n" * 200_000).encode(),
}.items():
    case(f"cohort: {_name}", "cohort")(lambda folder, content=_content: _cohort(folder, content))


@case("cohort: a link that leaves", "cohort")
def _(folder):
    (folder / "out.mp4").symlink_to("/etc/hostname")
    return put(folder / "cohort.csv", (_LINE + "out.mp4,P1,0,0,L1,1\n").encode())


@case("cohort: a series of which one slice is a link that leaves", "cohort")
def _(folder):
    (folder / "series").mkdir()
    put(folder / "series" / "1.dcm", b"")
    (folder / "series" / "2.dcm").symlink_to("/etc/hostname")
    return put(folder / "cohort.csv", (_LINE + "series,P1,0,0,T1,1\n").encode())


@case("cohort: a folder", "cohort")
def _(folder):
    (folder / "cohort.csv").mkdir()
    return folder / "cohort.csv"


@case("cohort: a pipe", "cohort")
def _(folder):
    os.mkfifo(folder / "cohort.csv")
    return folder / "cohort.csv"
