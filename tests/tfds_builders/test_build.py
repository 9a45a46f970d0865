import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfds_builders import build, builder, cohort, dataset_dir, identity, shards, splits, write
from tfds_builders.errors import InputError
from tfds_builders.readers import video
from tfds_builders.record import DatasetMeta, check_complete
from tfds_builders.resize import fit
from tfds_builders.synthetic_lus import simulate

SMALL = ["--frames", "4", "--size", "32", "--processes", "1"]
SYNTHETIC = ["synthetic_lus", "--n_patients", "4", "--visits", "2", "--frames", "2", "--size", "32", "--processes", "1"]


def clips_command(clips: Path, out: Path, *more: str) -> list[str]:
    command = ["ultrasound_clips", "--cohort", str(clips), "--data_dir", str(out), "--scores", "severity"]
    return [*command, *SMALL, *more]


def shard_bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.array_record-*"))]


def assert_nothing_built(folder: Path) -> None:
    """Neither the dataset nor what was begun of it."""
    left = [p.name for p in folder.iterdir()] if folder.exists() else []
    assert [name for name in left if name != "source"] == []


def test_records_and_table_agree_with_the_files(clips, tmp_path, capsys, make):
    out = tmp_path / "deep" / "lus"
    assert build.main(clips_command(clips, out, "--covariates", "age")) == 0
    check_complete(out)
    table, meta = cohort.read_table(out), DatasetMeta.read(out)
    assert (meta.name, meta.scan_shape, meta.n_scans, meta.axis0) == ("ultrasound_clips", (4, 32, 32, 1), 12, "time")
    assert (meta.scores, meta.covariates) == (("severity",), ("age",))
    assert meta.preprocessing["size"] == 32
    source = tfds.builder_from_directory(str(out)).as_data_source("scans")
    assert len(source) == table.height == 12
    for i, row in enumerate(make.rows()):
        want, _ = fit(video.read(clips.parent / row["scan"], 4).pixels, 32, np.full(3, np.nan))
        np.testing.assert_array_equal(source[i]["scan"], want)
        assert source[i]["scale"] == np.float32(1 / 255)
        assert source[i]["offset"] == 0
        np.testing.assert_allclose(source[i]["spacing"][0], 1.9 / 3, rtol=1e-5)
        assert source[i]["scan_id"].decode() == table["scan_id"][i]
        assert table["score.severity"][i] == row["severity"]
        assert table["covariate.age"][i] == row["age"]
    split = splits.read(out, "default")
    splits.check(table["patient"].to_list(), split)
    said, progress = capsys.readouterr()
    assert "ultrasound_clips: 12/12, " in progress
    assert "Downloading" not in said + progress  # TFDS's own words
    assert "12 scans of 4 patients, 12 visits, 1 view\n" in said
    assert "score severity: 12 of 12 scans labeled, 0 to 3, 12 fine pairs\n" in said
    assert "split default: train 2 patients, 6 scans; val 1 patient, 3 scans; test 1 patient, 3 scans\n" in said
    assert f"MiB in {out}\n" in said


def test_a_second_build_gives_the_same_bytes_with_any_number_of_processes(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "_WORTH_A_PROCESS", 1)
    assert build.main(clips_command(clips, tmp_path / "a")) == 0
    assert build.main([*clips_command(clips, tmp_path / "b"), "--processes", "2"]) == 0
    names = sorted(str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(names) == 12
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_records_keep_the_tables_order_over_several_shards(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_BYTES", 3 * 4 * 32 * 32)
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    assert len(shard_bytes(tmp_path / "lus")) == 4
    source = tfds.builder_from_directory(str(tmp_path / "lus")).as_data_source("scans")
    ids = [scan["scan_id"].decode() for scan in source.__getitems__(range(12))]
    assert ids == cohort.read_table(tmp_path / "lus")["scan_id"].to_list()


def test_no_identity_leaves_the_source(clips, tmp_path):
    words = [b"patient_a", b"Secret", b"clips/", b"a_0.mp4", b"hospital", b"ward 7", str(tmp_path).encode()]
    table = clips.read_text().splitlines()
    table = [table[0] + ",source,site", *(line + ",hospital,ward 7" for line in table[1:])]
    clips.write_text("\n".join(table))
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    key = identity.key_file().read_bytes()
    for path in (tmp_path / "lus").rglob("*"):
        content = str(path.relative_to(tmp_path)).encode() + (path.read_bytes() if path.is_file() else b"")
        assert not any(word in content for word in [*words, key.strip(), bytes.fromhex(key.decode())]), path


def test_a_finished_dataset_is_not_built_twice(clips, tmp_path, capsys):
    out = tmp_path / "lus"
    assert build.main(clips_command(clips, out)) == 0
    before = (out / "COMPLETE").stat().st_mtime_ns
    assert build.main(clips_command(clips, out)) == 0
    assert "is already built from these files with these settings" in capsys.readouterr().out
    assert (out / "COMPLETE").stat().st_mtime_ns == before
    other = [*clips_command(clips, out), "--size", "24"]
    assert build.main(other) == 2
    assert "built from other files or with other settings; build over it with --overwrite" in capsys.readouterr().err
    assert build.main([*other, "--overwrite"]) == 0
    assert DatasetMeta.read(out).scan_shape == (4, 24, 24, 1)
    clip = clips.parent / "clips" / "a_0.mp4"
    os.utime(clip, (0, 0))
    assert build.main(other) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lus", "source"]


def test_a_folder_that_is_no_dataset_is_never_overwritten(clips, tmp_path, capsys):
    (tmp_path / "lus").mkdir()
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0  # an empty one may be used
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    assert build.main(clips_command(clips, other, "--overwrite")) == 2
    assert "exists and is not a dataset; choose another --data_dir" in capsys.readouterr().err
    assert (other / "thesis.tex").read_text() == "years of work"


def test_every_bad_file_is_named_before_anything_is_written(clips, tmp_path, capsys):
    (clips.parent / "clips" / "a_1.mp4").write_bytes(b"not a video")
    (clips.parent / "clips" / "c_2.mp4").write_bytes(b"")
    assert build.main(clips_command(clips, tmp_path / "lus")) == 2
    said = capsys.readouterr().err
    assert "error: 2 of 12 scans cannot be used:\n  line 3: " in said
    assert "line 10: " in said
    assert_nothing_built(tmp_path)


def test_damage_found_while_building_leaves_nothing(clips, tmp_path, capsys, make):
    path = make.video(clips.parent / "clips" / "d_2.mp4", make.bar(40), "mjpeg", "yuvj420p", format="avi")
    path.write_bytes(b"00dc".join(path.read_bytes().split(b"00dc")[:21]))
    assert build.main(clips_command(clips, tmp_path / "lus")) == 2
    said = capsys.readouterr().err
    assert "line 13: " in said
    assert "19 of its 40 frames can be decoded\nnone may be left out: nothing was written; list every such scan" in said
    assert_nothing_built(tmp_path)
    assert build.main(clips_command(clips, tmp_path / "lus", "--check")) == 2
    assert "1 of 12 scans cannot be used:" in capsys.readouterr().err


def test_check_reads_everything_and_writes_nothing(clips, tmp_path, capsys):
    assert build.main(clips_command(clips, tmp_path / "lus", "--check")) == 0
    assert "12 scans can be read; nothing was built (--check)" in capsys.readouterr().out
    assert_nothing_built(tmp_path)


def test_a_fault_of_the_table_exits_with_2(clips, tmp_path, capsys):
    clips.write_text(clips.read_text().replace("severity", "severty"))
    assert build.main(clips_command(clips, tmp_path / "lus")) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "has no column 'severity'; did you mean 'severty'?" in said
    assert_nothing_built(tmp_path)


def test_a_key_inside_the_dataset_is_refused(clips, tmp_path, capsys):
    out = tmp_path / "lus"
    assert build.main(clips_command(clips, out, "--key_file", str(out / "identity.key"))) == 2
    assert "lies inside the data folder" in capsys.readouterr().err
    assert_nothing_built(tmp_path)


def test_a_planted_leak_stops_the_build(clips, tmp_path, monkeypatch, capsys):
    def leaky(table, **_):
        first, second = table["patient"].unique(maintain_order=True)[:2]
        return splits.Split("default", (first,), (first,), (second,))

    monkeypatch.setattr(splits, "make", leaky)
    assert build.main(clips_command(clips, tmp_path / "lus")) == 2
    assert "split 'default' leaks: 1 patient is in more than one part" in capsys.readouterr().err
    assert not (tmp_path / "lus").exists()


def test_a_split_column_decides(clips, tmp_path):
    lines = clips.read_text().splitlines()
    given = ["split", *["val"] * 3, *["train"] * 6, *["test"] * 3]
    clips.write_text("\n".join(f"{line},{part}" for line, part in zip(lines, given, strict=True)))
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    patients = cohort.read_table(tmp_path / "lus")["patient"].to_list()
    parts = splits.read(tmp_path / "lus", "default").rows(patients)
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "train": [3, 4, 5, 6, 7, 8],
        "val": [0, 1, 2],
        "test": [9, 10, 11],
    }
    assert "split" not in cohort.read_table(tmp_path / "lus").columns


def test_what_was_there_stays_when_the_move_fails(clips, tmp_path, monkeypatch):
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    before = shard_bytes(tmp_path / "lus")
    rename = Path.rename

    def failing(path, target):
        if path.name == "1.0.0":
            raise OSError("disk full")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="disk full"):
            build.main(clips_command(clips, tmp_path / "lus", "--overwrite"))
    assert shard_bytes(tmp_path / "lus") == before
    assert build.main(clips_command(clips, tmp_path / "lus", "--overwrite", "--size", "24")) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lus", "source"]


def test_splits_that_were_added_survive_a_build_with_more_scans(clips, tmp_path, capsys, make):
    out, lines = tmp_path / "lus", clips.read_text().splitlines()
    clips.write_text("\n".join(lines[:10]) + "\n")  # without the fourth patient
    assert build.main(clips_command(clips, out)) == 0
    assert splits.main([str(out), "--name", "mine", "--seed", "3"]) == 0
    before = (out / "splits" / "mine.json").read_bytes()
    clips.write_text("\n".join(lines) + "\n")
    assert build.main(clips_command(clips, out, "--overwrite")) == 0
    assert (out / "splits" / "mine.json").read_bytes() == before
    assert "split mine: train 1 patient, 3 scans; val 1 patient, 3 scans; test 1 patient, 3 scans; in no part 1 " in (
        capsys.readouterr().out
    )
    assert build.main([*clips_command(clips, out, "--overwrite"), "--key_file", str(tmp_path / "other.key")]) == 0
    assert (out / "splits" / "mine.json").read_bytes() == before
    assert "split mine, which was here before, no longer fits: " in capsys.readouterr().out


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_what_came_while_a_build_was_at_work_stays(clips, tmp_path, monkeypatch, capsys, more):
    out, dataset = tmp_path / "lus", write.dataset

    def slow(*given):
        built = dataset(*given)
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
        return built

    monkeypatch.setattr(write, "dataset", slow)
    assert build.main(clips_command(clips, out, *more)) == 2
    assert "exists and is not a dataset" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_build_that_comes_second_does_not_replace_the_first(clips, tmp_path, monkeypatch, capsys):
    out, dataset = tmp_path / "lus", write.dataset
    assert build.main(clips_command(clips, tmp_path / "first")) == 0

    def slow(*given):
        built = dataset(*given)
        (tmp_path / "first").rename(out)
        return built

    monkeypatch.setattr(write, "dataset", slow)
    assert build.main([*clips_command(clips, out), "--size", "24"]) == 2
    assert "holds a dataset built from other files or with other settings" in capsys.readouterr().err
    assert DatasetMeta.read(out).scan_shape == (4, 32, 32, 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed_to_where_the_dataset_belongs(clips, tmp_path, there):
    (tmp_path / "disk").mkdir()
    if there:
        (tmp_path / "disk" / "lus").mkdir()
    (tmp_path / "lus").symlink_to(tmp_path / "disk" / "lus")
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    assert (tmp_path / "lus").is_symlink()
    check_complete(tmp_path / "disk" / "lus")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["lus"]


def test_the_place_of_a_mounted_disk_is_refused():
    with (
        pytest.raises(InputError, match=r"is a mount point, .* name a folder in it with --data_dir"),
        dataset_dir.work_folder(Path("/")),
    ):
        pass


def test_a_dataset_inside_another_is_refused(clips, tmp_path, capsys):
    assert build.main(clips_command(clips, tmp_path / "data")) == 0
    assert build.main(clips_command(clips, tmp_path / "data" / "deep" / "lus")) == 2
    assert f"lies inside the dataset {tmp_path / 'data'}, and would be lost" in capsys.readouterr().err
    assert not (tmp_path / "data" / "deep").exists()


@pytest.mark.parametrize(("header", "pixels"), [("a.hdr", "a.img"), ("A.HDR", "A.IMG")])
def test_both_halves_of_a_pair_are_looked_at(tmp_path, make, capsys, header, pixels):
    make.volume(tmp_path / "b.nii")
    image = nib.load(tmp_path / "b.nii")
    nib.save(nib.Nifti1Pair(image.dataobj, image.affine), tmp_path / "b.hdr")
    (tmp_path / "b.hdr").rename(tmp_path / header)
    (tmp_path / "b.img").rename(tmp_path / pixels)
    row = {"scan": header, "patient": "p", "visit": 0, "time_days": 0, "view": "T1", "severity": 1}
    table = make.cohort(tmp_path / "cohort.csv", [row])
    command = ["brain_volumes", "--cohort", str(table), "--data_dir", str(tmp_path / "brain"), "--scores", "severity"]
    command += ["--shape", "8", "8", "8"]
    assert build.main(command) == 0
    voxels = bytearray((tmp_path / pixels).read_bytes())
    (tmp_path / pixels).write_bytes(bytes(voxels[::-1]))
    assert build.main(command) == 2
    assert "built from other files" in capsys.readouterr().err


def test_a_build_that_was_killed_as_it_moved_is_mended_by_the_next(clips, tmp_path):
    out, work = tmp_path / "lus", tmp_path / ".lus.building"
    assert build.main(clips_command(clips, out)) == 0
    work.mkdir()
    shutil.copytree(out, work / "replaced")  # killed while it removed the old one
    assert build.main([*clips_command(clips, out, "--overwrite"), "--size", "24"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lus", "source"]
    work.mkdir()
    out.rename(work / "replaced")  # killed before the new one came
    with pytest.raises(RuntimeError, match="fails"), dataset_dir.work_folder(out):
        raise RuntimeError("fails")
    assert DatasetMeta.read(out).scan_shape == (4, 24, 24, 1)


def test_an_interrupt_leaves_nothing(clips, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards.KeepingWriter, "write", interrupted)
    assert build.main(clips_command(clips, tmp_path / "lus")) == 130
    assert "stopped; no dataset was written" in capsys.readouterr().err
    monkeypatch.setattr(shards.KeepingWriter, "write", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as stopped:
        build.main(clips_command(clips, tmp_path / "lus"))
    assert stopped.value.code == 143
    assert_nothing_built(tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_volumes_of_any_orientation_are_stored_on_one_grid(tmp_path, make, dtype):
    rows = [{**row, "scan": row["scan"].replace("mp4", "nii.gz")} for row in make.rows(patients=1)]
    (tmp_path / "source" / "clips").mkdir(parents=True)
    for i, row in enumerate(rows):
        make.volume(tmp_path / "source" / row["scan"], ("RAS", "LPI", "SAR")[i])
    table = make.cohort(tmp_path / "source" / "cohort.csv", rows)
    command = ["brain_volumes", "--cohort", str(table), "--data_dir", str(tmp_path / "brain"), "--scores", "severity"]
    assert (
        build.main([*command, "--shape", "16", "14", "12", "--spacing", "2", "--around", "image", "--dtype", dtype])
        == 0
    )
    meta = DatasetMeta.read(tmp_path / "brain")
    assert (meta.axis0, meta.scan_shape, meta.dtype) == ("depth", (16, 14, 12, 1), dtype)
    source = tfds.builder_from_directory(str(tmp_path / "brain")).as_data_source("scans")
    stored = [source[i]["scan"][..., 0] * np.float64(source[i]["scale"]) for i in range(3)]
    np.testing.assert_allclose(source[0]["spacing"], 2.0)
    for one in stored:  # make.volume brightens to the right, to the front and upwards; rows go from front to back
        np.testing.assert_allclose(one, stored[0], atol=2e-3 if dtype == "uint8" else 5e-4)
        inside = one[2:-2, 2:-2, 2:-2]
        assert [np.sign(np.diff(inside.mean(other)).mean()) for other in ((1, 2), (0, 2), (0, 1))] == [1, -1, 1]


def test_the_synthetic_cohort_needs_no_files_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("LEARNER_KEY_FILE", str(tmp_path / "key"))
    for name in ("a", "b"):
        assert build.main([*SYNTHETIC, "--data_dir", str(tmp_path / name), "--seed", "5"]) == 0
    assert not (tmp_path / "key").exists()
    assert shard_bytes(tmp_path / "a") == shard_bytes(tmp_path / "b")
    assert (tmp_path / "a" / "dataset.json").read_bytes() == (tmp_path / "b" / "dataset.json").read_bytes()
    knobs = simulate.Knobs(n_patients=4, visits=2, frames=2, size=32, seed=5)
    rows = simulate.cohort_rows(knobs)
    source = tfds.builder_from_directory(str(tmp_path / "a")).as_data_source("scans")
    table = cohort.read_table(tmp_path / "a")
    assert table.height == len(rows) == len(source)
    np.testing.assert_array_equal(source[3]["scan"], simulate.render(rows[3], knobs))
    assert table["score.sf_ratio"][3] == np.float32(rows[3].scores["sf_ratio"])
    meta = DatasetMeta.read(tmp_path / "a")
    assert meta.preprocessing["knobs"]["seed"] == 5
    assert build.main([*SYNTHETIC, "--data_dir", str(tmp_path / "c"), "--seed", "6"]) == 0
    assert DatasetMeta.read(tmp_path / "c").fingerprint != meta.fingerprint


def test_synthetic_heads_are_records_as_those_of_brain_volumes(tmp_path):
    command = [
        "synthetic_mri",
        "--n_patients",
        "6",
        "--visits",
        "2",
        "--size",
        "16",
        "--sites",
        "2",
        "--processes",
        "1",
    ]
    assert build.main([*command, "--data_dir", str(tmp_path / "heads")]) == 0
    meta, table = DatasetMeta.read(tmp_path / "heads"), cohort.read_table(tmp_path / "heads")
    assert (meta.modality, meta.axis0, meta.dtype, meta.scan_shape) == ("mri", "depth", "uint8", (16, 16, 16, 1))
    assert (meta.scores, meta.covariates) == (("mmse", "mmse_true"), ("null_control",))
    assert set(table["view"]) == {"T1"}
    assert table["site"].n_unique() == 2
    scan = tfds.builder_from_directory(str(tmp_path / "heads")).as_data_source("scans")[0]
    np.testing.assert_array_equal(scan["spacing"], np.full(3, 13, np.float32))  # of 208 mm
    assert scan["scale"] == np.float32(1 / 255)


def test_the_fingerprint_sees_pixels_and_table(clips, tmp_path, make):
    def fingerprint(name):
        assert build.main(clips_command(clips, tmp_path / name)) == 0
        found = DatasetMeta.read(tmp_path / name).fingerprint
        shutil.rmtree(tmp_path / name)
        return found

    first = fingerprint("a")
    os.utime(clips.parent / "clips" / "a_0.mp4", (0, 0))
    assert fingerprint("b") == first
    make.video(clips.parent / "clips" / "a_0.mp4", make.bar(seed=99))
    second = fingerprint("c")
    clips.write_text(clips.read_text().replace("L1", "R1"))
    assert len({first, second, fingerprint("d")}) == 3


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [("--frames", "0", "--frames is 0; it must be at least 1"), ("--size", "4", "--size is 4; it must be at least 8")],
)
def test_impossible_sampling_is_refused(clips, tmp_path, capsys, flag, value, sentence):
    assert build.main([*clips_command(clips, tmp_path / "lus"), flag, value]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(build.BUILDERS))
def test_help_shows_an_example_that_parses(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        build.main([name, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    example = said.split("example:\n")[1].strip()
    assert example.startswith(f"python -m tfds_builders.build {name} ")
    build.parser().parse_args(example.split()[3:])
    assert "None" not in said


def test_building_imports_no_jax(tmp_path):
    code = (
        "import sys; from tfds_builders import build; "
        f"assert build.main({[*SYNTHETIC, '--data_dir', str(tmp_path / 'x')]!r}) == 0; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'jax', 'jaxlib', 'flax', 'learner_jax', 'tensorflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    assert "Traceback" not in done.stderr


def test_dataset_json_is_readable_text(clips, tmp_path):
    assert build.main(clips_command(clips, tmp_path / "lus")) == 0
    values = json.loads((tmp_path / "lus" / "dataset.json").read_text())
    assert values["preprocessing"]["reader"] == "clip"
    assert (tmp_path / "lus" / "COMPLETE").read_text().strip() == values["fingerprint"]
