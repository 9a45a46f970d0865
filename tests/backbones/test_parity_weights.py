"""The register of published weights beside what the libraries state themselves; and their nets fit our backbones."""

import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.backbones.weights import PUBLISHED
from tests.backbones.zoo import ROWS

pytestmark = pytest.mark.parity


def of(host):
    found = [entry for entry in PUBLISHED if host in entry.address]
    assert found
    return found


def assert_fits(entry, net):
    """What the library's net holds, by name and shape, is what each backbone needs."""
    tensors = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    for name in entry.backbones:
        backbone, spec = backbones.create(name), ROWS[name].spec
        # the first that fits, as when they are loaded
        faults = (pretrained.differences(tensors, backbone, spec, names) for names in backbone.names.values())
        assert any(not lines for lines in faults), f"{entry.name} {name}"


@pytest.mark.parametrize("entry", of("download.pytorch.org"), ids=lambda entry: entry.address)
def test_torchvision_states_the_same_and_its_nets_fit(entry):
    from tests.backbones.published import torchvision

    models = torchvision().models
    (name, stated), *more = [
        (name, weights)
        for name in models.list_models()
        for weights in models.get_model_weights(name)
        if weights.url == entry.address
    ]
    assert not more
    preset = stated.transforms()
    assert (tuple(preset.mean), tuple(preset.std)) == (entry.mean, entry.std)
    assert entry.address.endswith(f"-{entry.sha256}.pth")
    assert_fits(entry, models.get_model(name))


@pytest.mark.parametrize("entry", of("huggingface.co/timm"), ids=lambda entry: entry.address)
def test_timm_states_the_same_and_its_nets_fit(entry):
    import timm

    name = entry.address.split("/")[4]
    config = timm.get_pretrained_cfg(name)
    assert (tuple(config.mean), tuple(config.std)) == (entry.mean, entry.std)
    assert config.license.lower() == entry.licence.lower()
    assert_fits(entry, timm.create_model(name, pretrained=False))


@pytest.mark.parametrize("entry", of("pytorchvideo"), ids=lambda entry: entry.address)
def test_pytorchvideo_states_the_same_and_its_nets_fit(entry):
    from pathlib import Path

    import pytorchvideo

    from tests.backbones.published import torchvision

    torchvision()  # before pytorchvideo, which imports it
    from pytorchvideo.models.hub import slowfast, x3d

    (name, module), *_ = [
        (name, module)
        for module in (slowfast, x3d)
        for name, address in module.checkpoint_paths.items()
        if address == entry.address
    ]
    # text, for the module imports what today's torchvision lacks
    source = (Path(pytorchvideo.__path__[0]) / "transforms" / "transforms_factory.py").read_text()
    for parameter, constant in (("video_mean", entry.mean), ("video_std", entry.std)):
        assert f"{parameter}: Tuple[float, float, float] = {constant}," in source
    assert_fits(entry, getattr(module, name)(pretrained=False))


@pytest.mark.parametrize("entry", of("MCG-NJU"), ids=lambda entry: entry.address)
def test_transformers_states_the_same_and_its_nets_fit(entry):
    import torch
    from transformers import VideoMAEConfig, VideoMAEForPreTraining
    from transformers.models.videomae import modeling_videomae

    stated = (modeling_videomae.IMAGENET_DEFAULT_MEAN, modeling_videomae.IMAGENET_DEFAULT_STD)
    assert tuple(map(tuple, stated)) == (entry.mean, entry.std)
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    config = VideoMAEConfig(use_mean_pooling=False, **large if "large" in entry.address else {})
    with torch.device("cpu"):
        assert_fits(entry, VideoMAEForPreTraining(config))


@pytest.mark.parametrize("entry", of("TencentMedicalNet"), ids=lambda entry: entry.address)
def test_monai_states_the_same_and_its_nets_fit(entry):
    from monai.networks.nets import resnet

    depth = int(entry.address.split("MedicalNet-Resnet")[1].split("/")[0])
    assert resnet.MEDICALNET_HUGGINGFACE_REPO_BASENAME in entry.address
    bias, shortcut = resnet.get_medicalnet_pretrained_resnet_args(depth)
    make = getattr(resnet, f"resnet{depth}")
    assert_fits(
        entry,
        make(spatial_dims=3, n_input_channels=1, feed_forward=False, bias_downsample=bias, shortcut_type=shortcut),
    )
