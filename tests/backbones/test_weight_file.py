"""Published files are read without being run: what comes out, and what is refused."""

import argparse
import importlib.util
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from learner_jax.backbones import convert, state_dict, weight_file
from tests.backbones import saved
from tests.backbones.saved import Raw, Tensor
from tfds_builders.errors import InputError

NAME = saved.name
both = pytest.mark.parametrize("write", saved.WRITERS.values(), ids=saved.WRITERS)


@both
def test_every_type_of_number_comes_out_as_it_is(write, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {kind: rng.integers(0, 2, (3, 2)).astype(kind) for kind in saved.KINDS if kind != "bf16"}
    arrays["f4"] = rng.normal(size=(3, 2)).astype(np.float32)
    found = weight_file.read(write(tmp_path / "w.pth", {f"a.{k}": saved.of(k, a) for k, a in arrays.items()}, arrays))
    assert set(found) == {f"a.{kind}" for kind in arrays}
    for kind, array in arrays.items():
        assert found[f"a.{kind}"].dtype == array.dtype
        np.testing.assert_array_equal(found[f"a.{kind}"], array)


@both
def test_bfloat16_becomes_the_float32_with_the_same_value(write, tmp_path):
    values = np.array([1.0, -0.0, 3.140625, np.inf, 2.0**-130], np.float32)  # each has 8 significant bits or fewer
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    found = weight_file.read(write(tmp_path / "w.pth", {"a": Tensor("0", "bf16", 5, (5,), (1,))}, {"0": bits}))
    assert found["a"].dtype == np.float32
    assert found["a"].tobytes() == values.tobytes()


@both
def test_views_with_strides_offsets_and_a_shared_storage(write, tmp_path):
    x = np.arange(24, dtype=np.float32)
    views = {
        "transposed": Tensor("0", "f4", 24, (6, 4), (1, 6)),
        "part": Tensor("0", "f4", 24, (2, 3), (6, 2), 7),
        "scalar": Tensor("0", "f4", 24, (), (), 23),
        "empty": Tensor("0", "f4", 24, (0, 3), (3, 1)),
        "whole": saved.of("0", x),
    }
    found = weight_file.read(write(tmp_path / "w.pth", views, {"0": x}))
    np.testing.assert_array_equal(found["transposed"], x.reshape(4, 6).T)
    np.testing.assert_array_equal(found["part"], x[7:].reshape(-1)[np.array([[0, 2, 4], [6, 8, 10]])])
    assert found["scalar"].shape == ()
    assert found["scalar"] == 23
    assert found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["whole"], x)


def test_a_storage_that_is_a_part_of_another(tmp_path):
    x = np.arange(10, dtype=np.float32)
    part = Tensor("0", "f4", 10, (4,), (1,), 0, view=("1", 3, 4))
    path = saved.write_stream(tmp_path / "w.pth", {"part": part, "whole": saved.of("0", x)}, {"0": (10, x.tobytes())})
    found = weight_file.read(path)
    np.testing.assert_array_equal(found["part"], x[3:7])
    np.testing.assert_array_equal(found["whole"], x)


@both
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: {"epoch": 3, "state_dict": tensors, "best": 0.5, "arch": "resnet", "optimizer": {"state": {}}},
        lambda tensors: {"model": {"state_dict": tensors}},
        lambda tensors: {"model_state": {f"module.{name}": tensor for name, tensor in tensors.items()}, "cfg": "…"},
        lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()},
    ],
)
def test_what_training_lays_around_a_state_dict_is_taken_off(write, wrap, tmp_path):
    x = np.ones((2, 2), np.float32)
    found = weight_file.read(write(tmp_path / "w.pth", wrap({"module_list.weight": saved.of("0", x)}), {"0": x}))
    assert list(found) == ["module_list.weight"]


@both
def test_arguments_and_numbers_of_numpy_beside_the_weights_are_passed_over(write, tmp_path):
    """As training scripts save them, those of MAE and VideoMAE among them."""
    rng = np.random.default_rng(0)
    given = argparse.Namespace(lr=np.float64(0.1), layers=[np.int64(3)], name="mae", inner=argparse.Namespace(a=None))
    beside = {"args": given, "auc": np.float32(0.5), "flag": np.bool_(True), "z": rng.normal(size=2)[1]}
    operations = {key: Raw(pickle.dumps(value, protocol=2)[2:-1]) for key, value in beside.items()}
    x = np.ones((2, 2), np.float32)
    found = weight_file.read(write(tmp_path / "w.pth", operations | {"model": {"w": saved.of("0", x)}}, {"0": x}))
    assert list(found) == ["w"]


@both
def test_tensors_among_the_arguments_are_not_left_out_in_silence(write, tmp_path):
    x = np.ones((2, 2), np.float32)
    attributes = saved.operations({"prototypes": saved.of("0", x)}, write is saved.WRITERS["stream"])
    args = Raw(NAME("argparse", "Namespace") + b")\x81" + attributes + b"b")
    path = write(tmp_path / "w.pth", {"w": saved.of("0", x), "args": args}, {"0": x})
    with pytest.raises(InputError, match="it holds 'w' and, in dicts, more tensors: 'args'"):
        weight_file.read(path)


@both
@pytest.mark.parametrize(
    ("wrap", "sentence"),
    [
        (
            lambda a: {"net": {"w": a}, "epoch": 3},
            "no tensors by name: 'net', 'epoch'; there are some in 'net'. Save the state dict that is meant alone",
        ),
        (
            lambda a: {"model": {"name": "x"}, "weights": {"w": a}},
            "no tensors by name: .*; there are some in 'weights'",
        ),
        (lambda a: {"temperature": a, "net": {"w": a}, "log": {"loss": 0.5}}, "more tensors: 'net'. Save alone"),
        (
            lambda a: {"encoder": {"net": {"w": a}}, "t": a, "head": {"b": a}},
            "'t' and, in dicts, .*: 'encoder', 'head'",
        ),
        (lambda a: {"epoch": 3, "state_dict": {"w": a, "ema": {"w": a}}}, "holds 'w' and, in dicts, more .*: 'ema'"),
    ],
)
def test_tensors_in_a_dict_of_unknown_name_are_not_left_out_in_silence(write, wrap, sentence, tmp_path):
    x = np.ones((2, 2), np.float32)
    path = write(tmp_path / "w.pth", wrap(saved.of("0", x)), {"0": x})
    with pytest.raises(InputError, match=sentence):
        weight_file.read(path)


def test_dicts_that_hold_each_other_are_gone_through_once(tmp_path):
    key = [saved.operations(name) for name in ("a", "b", "d", "w")]
    inner = b"}q\x00" + key[0] + b"h\x3cs"  # the innermost of 61 holds the outermost
    for i in range(60):  # and each other the next one twice: 2^60 ways
        inner = b"}q%c" % (i + 1) + key[0] + inner + b"s" + key[1] + b"h%cs" % i
    whole = b"}(" + key[3] + saved.operations(saved.of("0", saved.FOUR)) + key[2] + inner + b"u"
    path = saved.write_zip(tmp_path / "w.pth", Raw(whole), {"0": saved.FOUR.tobytes()})
    assert list(weight_file.read(path)) == ["w"]


def test_npz_and_safetensors_keep_their_names(tmp_path):
    arrays = {"a.weight": np.arange(6, dtype=">f4").reshape(2, 3), "b": np.arange(3)}
    np.savez_compressed(tmp_path / "w.npz", **arrays)
    found = weight_file.read(tmp_path / "w.npz")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {n: a.tolist() for n, a in arrays.items()}
    assert found["a.weight"].dtype == np.dtype("<f4")
    save_file({"module.a": np.ones(2, np.float16)}, tmp_path / "w.safetensors")
    assert weight_file.read(tmp_path / "w.safetensors")["a"].dtype == np.float16


# What must not be read. Each is (writer of the file, part of the sentence).


def pickled(operations: bytes):
    """The same pickle alone, as data.pkl, and as the state dict of the older stream."""
    yield lambda path: path.write_bytes(b"\x80\x02" + operations)
    yield lambda path: saved.write_zip(path, Raw(operations.removesuffix(b".")), {})
    yield lambda path: saved.write_stream(path, Raw(operations.removesuffix(b".")), {})


@pytest.mark.parametrize("form", range(3), ids=["pickle", "zip", "stream"])
def test_a_pickle_that_would_run_code_is_refused_by_the_name_that_it_calls(form, tmp_path, capsys):
    canary = tmp_path / "canary"
    program = pickle.dumps(saved.Canary(canary), protocol=2)
    list(pickled(program.removeprefix(b"\x80\x02")))[form](tmp_path / "w.pth")
    assert convert.main([str(tmp_path / "w.pth")]) == 2
    assert f"it asks for '{os.mkdir.__module__}.mkdir', which is no part of a state dict" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
    pickle.loads(program)
    assert canary.is_dir()  # the program was alive


@pytest.mark.parametrize(
    "module_and_name",
    [
        ("builtins", "exec"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "os.system"),
        ("collections", "OrderedDict.__class__"),
        ("torch", "FloatStorage.__init__"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("argparse", "ArgumentParser"),
        ("numpy", "fromfile"),
        ("_codecs", "lookup"),
    ],
)
@pytest.mark.parametrize("by_stack", [False, True])
def test_only_what_a_state_dict_needs_has_a_name(module_and_name, by_stack, tmp_path):
    module, name = module_and_name
    texts = saved.operations(module) + saved.operations(name)
    for write in pickled((texts + b"\x93" if by_stack else NAME(module, name)) + b")R."):
        write(tmp_path / "w.pth")
        with pytest.raises(InputError, match=rf"it asks for '{module}.{name}'".replace(".", r"\.")):
            weight_file.read(tmp_path / "w.pth")


# a pair of one thing twice, of which there is a pair, and so on: 2^60 things to hash or to write down
TWICE_AND_TWICE = b")" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60))


@pytest.mark.parametrize(
    ("operations", "sentence"),
    [
        (NAME("torch", "float32") + b")R.", r"would call torch\.float32"),
        (saved.operations("os.system") + b")R.", "would call a value of type str"),
        (NAME("torch._utils", "_rebuild_tensor_v2") + b")R.", "with what is no tensor of this file"),
        (NAME("collections", "OrderedDict") + b"}b.", r"would change collections\.OrderedDict"),
        (NAME("torch", "Size") + b"K\x01K\x02s.", r"would change torch\.Size"),
        (NAME("collections", "OrderedDict") + b")\x81.", r"would make collections\.OrderedDict"),
        (NAME("argparse", "Namespace") + b"K\x01\x85\x81.", r"would make argparse\.Namespace"),
        (NAME("argparse", "Namespace") + b")\x81.", "holds no tensors by name: nothing"),
        (NAME("argparse", "Namespace") + b")R.", r"would call argparse\.Namespace"),
        (NAME("numpy", "dtype") + b")R" + b"}b.", "holds no tensors by name: nothing"),
        (b"(ccollections\nOrderedDict\no.", "uses the operation OBJ"),
        (b"\x82\x01.", "uses the operation EXT1"),
        (b"Nr\xff\xff\xff\x7f.", "holds a value of type NoneType"),  # a place in the memo: 32 GiB in Python 3.11
        (b"\x8d" + struct.pack("<Q", 1 << 60) + b"a.", "is damaged"),  # a text of 2^60 bytes
        (b"\x8b\xff\xff\xff\x7fa.", "is damaged"),  # an int of 2 GiB
        (b"]q\x00h\x00a.", "holds a value of type list"),  # a list in itself
        (b"}q\x00X\x05\x00\x00\x00modelh\x00s.", "holds no tensors by name: 'model'"),  # a dict in itself
        (b"]" * 2_000 + b"a" * 1_999 + b".", "holds a value of type list"),  # twice as deep as Python goes
        (b"}]Ns.", "a dict of it has a value of type list for a key"),
        (b"}" + TWICE_AND_TWICE + b"Ns.", "a dict of it has a value of type tuple for a key"),
        (NAME("collections", "OrderedDict") + b"](" + TWICE_AND_TWICE + b"Nta\x85R.", "of type tuple for a key"),
        (TWICE_AND_TWICE + b"X\x01\x00\x00\x00a\x93.", "asks for what a value of type tuple and"),
        (b"0.", "uses the operation POP"),
        (b"a.", "is damaged"),
        (b"t.", "is damaged"),
        (b"h\x05.", "is damaged"),
        (b"}X\xff\x00\x00\x00.", "is damaged"),  # no end
        (b"}.", "holds no tensors by name: nothing"),
        (b"\xff.", "is damaged"),
    ],
)
def test_operations_that_make_no_sense_are_refused_in_little_memory(operations, sentence, tmp_path):
    _, in_zip, in_stream = pickled(operations)
    for write in (in_zip, in_stream):
        write(tmp_path / "w.pth")
        with little_memory(), pytest.raises(InputError, match=sentence):
            weight_file.read(tmp_path / "w.pth")


def test_endless_operations_are_not_gone_through(monkeypatch, tmp_path):
    monkeypatch.setattr(state_dict, "_OPERATIONS", 1000)
    saved.write_zip(tmp_path / "w.pth", Raw(b"]" + b"Na" * 1000), {})
    with pytest.raises(InputError, match="more than 1,000 operations"):
        weight_file.read(tmp_path / "w.pth")


@both
@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (Tensor("0", "f4", 4, (5,), (1,)), "a tensor of 5 numbers up to the 5th of 4"),
        (Tensor("0", "f4", 4, (2,), (4,)), "a tensor of 2 numbers up to the 5th of 4"),
        (Tensor("0", "f4", 4, (1,), (1,), 4), "a tensor of 1 numbers up to the 5th of 4"),
        (Tensor("0", "f4", 4, (1 << 40,), (0,)), "a tensor of 1,099,511,627,776 numbers"),
        (Tensor("0", "f4", 4, (1 << 47, 1 << 47), (0, 0)), "numbers up to the 1th of 4"),
        (Tensor("0", "f4", 4, (1 << 47, 0), (1 << 47, 1), 1 << 47), None),
        (Tensor("0", "f4", 4, (2, 2), (-2, 1), 2), "a size, a stride or an offset is -2"),
        (Tensor("0", "f4", 4, (-1,), (1,)), "a size, a stride or an offset is -1"),
        (Tensor("0", "f4", 4, (1,), (1,), -1), "a size, a stride or an offset is -1"),
        (Tensor("0", "f4", 4, (1 << 48,), (1,)), "a size, a stride or an offset is a value of type int"),
        (Tensor("0", "f4", 4, (1.0,), (1,)), "a size, a stride or an offset is a value of type float"),
        (Tensor("0", "f4", 4, (True,), (1,)), "a size, a stride or an offset is a value of type bool"),
        (Tensor("0", "f4", 4, (2, 2), (1,)), "2 sizes and 1 strides"),
        (Tensor("0", "f4", 4, (1,) * 65, (1,) * 65), "65 sizes and 65 strides"),
        (Tensor("0", "f4", -4, (4,), (1,)), "the length of a storage is -4"),
        (Tensor("0", "f4", 1 << 60, (4,), (1,)), "the length of a storage is a value of type int"),
        (Tensor("0", "f4", 1 << 40, (4,), (1,)), "it claims 4?,?[0-9,]+ (bytes|numbers) for storage '0'"),
        (Tensor("0", "f8", 4, (4,), (1,)), "claims 32 bytes|ends within storage '0': it is truncated"),
        (Tensor("7", "f4", 4, (4,), (1,)), "storage '7' and there is nothing|not those that its tensors lie in"),
        (Tensor("0", "QInt8", 4, (4,), (1,)), r"it asks for 'torch\.QInt8Storage'"),
    ],
)
def test_a_tensor_that_does_not_lie_in_the_file_is_refused_in_little_memory(write, tensor, sentence, tmp_path):
    path = write(tmp_path / "w.pth", {"a": tensor}, {"0": saved.FOUR})
    with little_memory():
        if sentence is None:
            assert weight_file.read(path)["a"].size == 0
        else:
            with pytest.raises(InputError, match=sentence):
                weight_file.read(path)


@both
def test_many_tensors_in_one_storage_do_not_multiply_it(write, tmp_path):
    x = np.zeros(1 << 20, np.float32)
    path = write(tmp_path / "w.pth", {f"a{i}": saved.of("0", x) for i in range(100)}, {"0": x})
    with little_memory(), pytest.raises(InputError, match="would take 419,430,400 bytes out of 4,194,304"):
        weight_file.read(path)


@pytest.mark.parametrize("left", [10, 200, 3000, -8, -1])
@both
def test_a_truncated_file_is_refused(write, left, tmp_path):
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    path = write(tmp_path / "w.pth", {"a": saved.of("0", x)}, {"0": x})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=r"w\.pth is (damaged|not read)"):
        weight_file.read(path)


def test_a_flipped_byte_of_a_zip_is_noticed(tmp_path):
    path = saved.WRITERS["zip"](tmp_path / "w.pth", {"a": saved.of("0", saved.FOUR)}, {"0": saved.FOUR})
    data = path.read_bytes()
    path.write_bytes(data.replace(saved.FOUR.tobytes(), saved.FOUR.tobytes()[:-1] + b"\x01"))
    with pytest.raises(InputError, match="Bad CRC-32"):
        weight_file.read(path)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("<html>not found</html>"), "damaged"),
        (lambda path: path.write_bytes(saved.dumped({"a": 1})), "does not begin as torch.save begins a file"),
        (lambda path: zipfile.ZipFile(path, "w").writestr("a/b", ""), "without data.pkl"),
        (
            lambda path: saved.write_zip(
                path, {"a": saved.of("0", saved.FOUR)}, {"0": saved.FOUR.tobytes()}, byteorder="big"
            ),
            "the most significant byte first",
        ),
        (
            lambda path: saved.write_stream(path, {}, {}, {"little_endian": False}),
            "the most significant byte first",
        ),
        (
            lambda path: saved.write_zip(path, {}, {"0": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED),
            "is compressed, which PyTorch never does",
        ),
        (lambda path: save_npz(path, np.array([{"a": 1}], object)), "allow_pickle=False"),
        (lambda path: save_npz(path, np.array(["text"])), "has numbers of type <U4"),
        (lambda path: save_npz(path, np.zeros(1 << 22)), "bytes would unpack to 33,"),
        (lambda path: saved.write_zip(path, {"encoder": {"a": 1}, "decoder": {}}, {}), "'encoder', 'decoder'"),
        (lambda path: path.mkdir(), "IsADirectory"),
    ],
)
def test_other_files_are_refused(write, sentence, tmp_path):
    path = tmp_path / "w.pth"
    write(path)
    with little_memory(), pytest.raises(InputError, match=sentence):
        weight_file.read(path)


def save_npz(path, array):
    with path.open("wb") as file:
        np.savez_compressed(file, a=array)


class little_memory:
    """What is read inside takes less than 32 MiB at any moment."""

    def __enter__(self):
        tracemalloc.start()

    def __exit__(self, *_):
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 32 << 20


def test_the_converter_needs_no_torch():
    if importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is installed here")
    assert "torch" not in sys.modules


@pytest.mark.parametrize("kind", ["list of pairs", "arguments", "sizes"])
def test_one_list_copied_again_and_again_takes_no_memory(tmp_path, kind):
    """A few bytes ask for each copy."""
    n = 20_000
    numbers = [b"J" + i.to_bytes(4, "little") for i in range(n)]
    pickles = {
        "list of pairs": b"ccollections\nOrderedDict\nq\x00]q\x01("
        + b"".join(number + b"N\x86" for number in numbers)
        + b"e"
        + b"h\x00h\x01\x85R" * 1000,
        "arguments": b"cargparse\nNamespace\nq\x00}q\x01("
        + b"".join(number + b"N" for number in numbers)
        + b"u"
        + b"h\x00)\x81h\x01b" * 1000,
        "sizes": b"ctorch\nSize\nq\x00]q\x01(" + b"".join(numbers) + b"e" + b"h\x00h\x01\x85R" * 1000,
    }
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + pickles[kind] + b".")
    tracemalloc.start()
    with pytest.raises(InputError):
        weight_file.read(tmp_path / "w.pth")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 << 20  # MiB; 565, 564 and 153 where copies cost nothing


@both
def test_of_two_sets_of_weights_it_is_told_which_one_is_taken(write, tmp_path, capsys):
    x = np.ones((2, 2), np.float32)
    sets = {key: {"w": saved.of(key, x)} for key in ("state_dict", "state_dict_ema")}
    found = weight_file.read(
        write(tmp_path / "w.pth", {"epoch": 3, **sets}, {"state_dict": x, "state_dict_ema": 2 * x})
    )
    np.testing.assert_array_equal(found["w"], x)
    assert capsys.readouterr().err == "taken are the tensors in 'state_dict', not those in 'state_dict_ema'\n"


@pytest.mark.parametrize("name", ["_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_tensor_v3"])
def test_tensors_of_another_kind_are_called_so(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + NAME("torch._utils", name) + b"(tR.")
    with pytest.raises(InputError, match=f"{name}': it holds tensors that are quantised, sparse, .* of float32"):
        weight_file.read(tmp_path / "w.pth")


def test_a_torchscript_module_is_called_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"x" * 100)
    with pytest.raises(InputError, match=r"it is a TorchScript module, which is a program; save its state_dict\(\)"):
        weight_file.read(tmp_path / "w.pt")


def test_a_name_that_safetensors_keeps_for_itself_is_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **{"__metadata__": np.ones(2, np.float32)})
    with pytest.raises(InputError, match="has a tensor called '__metadata__', a name that safetensors keeps"):
        convert.convert(tmp_path / "w.npz", tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]
