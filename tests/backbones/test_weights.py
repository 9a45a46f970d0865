"""Published weights: the register, where files are looked for, how a run starts from them and what it then sees."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from learner_jax import augment, backbones, preprocess
from learner_jax.backbones import pretrained, weights
from learner_jax.backbones.weights import PUBLISHED, Weights
from learner_jax.batch import BatchSpec
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import AugmentConfig, Config
from learner_jax.encoder import encode
from learner_jax.evaluators.embed import encoder_of
from learner_jax.train import train
from tfds_builders.errors import InputError

NAME = "tsm_resnet18-test"
MEAN, STD = (0.2, 0.4, 0.9), (0.1, 0.2, 0.6)
KNOWN = Weights("known", (NAME,), "https://example.org/known.pth", "MIT", sha256="ab12", mean=MEAN, std=STD)
NOT_SOLD = Weights("not_sold", (NAME,), "https://example.org/not_sold.pth", "CC-BY-NC-4.0", non_commercial=True)
PACKED = Weights("packed", (NAME,), "https://pypi.org/project/absent/", "", package="absent_weights")


@pytest.fixture(autouse=True)
def register(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "PUBLISHED", (*PUBLISHED, KNOWN, NOT_SOLD, PACKED))
    monkeypatch.setenv("LEARNER_WEIGHTS", str(tmp_path / "cache"))


def config_of(name: str, **more) -> Config:
    config = Config()
    config.backbone.name, config.backbone.weights = NAME, name
    config.backbone.accept_license = more.get("accept_license", False)
    return config


def published_file(path, channels=3, seed=0, source="ab12ff", **more):
    """A file of weights of the backbone, as its library would name them; returns them as we do."""
    backbone, spec = backbones.create(NAME), BatchSpec(1, 4, 32, 32, channels)
    variables = jax.jit(lambda key: backbone.init(key, spec))(jax.random.key(seed))
    names = backbone.names["torchvision"]
    rng = np.random.default_rng(seed)
    tensors = {}
    for leaves in variables.values():
        for parts, leaf in flatten_dict(leaves).items():
            (theirs,), _ = names.of("/".join(parts))
            value = np.asarray(leaf) + rng.normal(size=leaf.shape).astype(np.float32) ** 2 / 10
            axes = (-1, -2, *range(leaf.ndim - 2)) if leaf.ndim > 1 else (0,)
            tensors[theirs] = np.ascontiguousarray(value.transpose(axes))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors | more, path, {weights.SOURCE_SHA256: source} if source else None)
    return pretrained.convert(tensors, backbone, spec, names)


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


# The register


def test_every_entry_names_backbones_that_there_are_and_is_found_by_each():
    seen = set()
    for entry in PUBLISHED:
        for backbone in entry.backbones:
            assert backbone in backbones.list_backbones()
            assert (entry.name, backbone) not in seen
            seen.add((entry.name, backbone))
            assert weights.find(entry.name, backbone) is entry
        assert entry.backbones
        assert len({weights.cached(other) for other in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: f"{entry.name}-{entry.backbones[0]}")
def test_every_entry_is_well_formed(entry):
    assert entry.address.startswith("https://")
    assert entry.licence
    assert entry.non_commercial == ("NC" in entry.licence or "non-commercial" in entry.licence)
    assert set(entry.sha256) <= set("0123456789abcdef")
    assert len(entry.sha256) <= 64
    assert len(entry.mean) == len(entry.std)
    assert all(0 < value < 1 for value in (*entry.mean, *entry.std))
    assert not entry.name.endswith(weights.SUFFIX)


def test_the_list_shows_name_backbones_licence_and_address(capsys):
    assert weights.main([]) == 0
    shown = capsys.readouterr().out
    for entry in (*PUBLISHED, NOT_SOLD):
        assert all(text in shown for text in (entry.name, entry.licence, entry.address, *entry.backbones))
    assert "[not for commercial use" in shown


@pytest.mark.parametrize(
    ("name", "backbone", "sentence"),
    [
        ("imagnet", NAME, r"weights is 'imagnet', which is neither a .safetensors file .* did you mean 'imagenet'\?"),
        ("w.pth", NAME, "which is neither a .safetensors file nor a published name"),
        (
            "kinetics400",
            NAME,
            rf"no kinetics400 weights of {NAME}: they fit r3d18, .*; {NAME} has known, not_sold",
        ),
        ("known", "r3d18", "r3d18 has kinetics400"),
        ("imagenet", None, "several imagenet weights; say --for which of tsn_efficientnet_lite0, "),
    ],
)
def test_a_name_that_fits_nothing_is_answered_with_those_that_do(name, backbone, sentence):
    with pytest.raises(InputError, match=sentence):
        weights.find(name, backbone)


# Files


def load(config, channels=3):
    return weights.load(config, backbones.create(config.backbone.name), BatchSpec(1, 4, 32, 32, channels))


def test_no_weights_are_no_variables():
    assert load(config_of("")) is None


def test_a_file_named_by_its_path(tmp_path):
    variables = published_file(tmp_path / "w.safetensors")
    assert_equal(load(config_of(str(tmp_path / "w.safetensors"))), variables)


def test_a_published_file_is_found_in_its_place_and_its_stem_folded_for_its_own_constants(tmp_path):
    variables = published_file(weights.cached(KNOWN))
    assert weights.cached(KNOWN) == tmp_path / "cache" / f"known-{NAME}.safetensors"
    assert_equal(load(config_of("known")), variables)
    kernel = variables["params"]["conv1"]["kernel"].astype(np.float64)
    constants = zip(np.moveaxis(kernel, 2, 0), MEAN, STD, strict=True)
    expected = sum(part / std for part, _, std in constants) * 0.3  # the mean of STD
    np.testing.assert_allclose(load(config_of("known"), 1)["params"]["conv1"]["kernel"][:, :, 0], expected, atol=1e-6)


def test_a_file_made_of_another_than_the_published_one_is_refused():
    for source, said in (("99ff", "99ff"), ("", r"\(unknown\)")):
        published_file(weights.cached(KNOWN), source=source)
        with pytest.raises(InputError, match=rf"sha256 {said}; that of the published one begins with ab12. Delete it;"):
            load(config_of("known"))


def test_a_damaged_file_is_named():
    published_file(weights.cached(KNOWN))
    data = weights.cached(KNOWN).read_bytes()
    weights.cached(KNOWN).write_bytes(data[:-1])
    with pytest.raises(
        InputError, match=r"cannot read the weights .*known-.*Delete it; Download https://example.org/k"
    ):
        load(config_of("known"))


def test_weights_of_another_backbone_are_refused_with_what_differs():
    published_file(weights.cached(KNOWN), **{"head.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(InputError, match=r"unexpected  head.weight \[2 3\]"):
        load(config_of("known"))


def test_absent_files_are_answered_with_the_command_that_brings_them(tmp_path):
    convert = "python -m learner_jax.backbones.convert"
    sentence = f"are not in {tmp_path}/cache. Download https://example.org/known.pth and run: {convert} FILE --as known"
    with pytest.raises(InputError, match=f"{sentence} --for {NAME}"):
        load(config_of("known"))
    with pytest.raises(InputError, match=f"pip install absent_weights && {convert} packed --for {NAME}"):
        load(config_of("packed"))
    with pytest.raises(InputError, match=r"cannot read the weights .*nowhere.safetensors"):
        load(config_of("nowhere.safetensors"))


def test_weights_that_may_not_be_sold_need_a_word():
    published_file(weights.cached(NOT_SOLD), source="")
    with pytest.raises(InputError, match=r"commercially \(CC-BY-NC-4.0, https://example.org/n.*accept_license=true"):
        load(config_of("not_sold"))
    assert load(config_of("not_sold", accept_license=True))


# What the backbone sees


def test_constants_belong_to_the_weights_and_are_averaged_for_grey():
    assert preprocess.normalisation(config_of(""), 3) == (0.25, 0.25)
    assert preprocess.normalisation(config_of("some/file.safetensors"), 1) == (0.25, 0.25)
    assert preprocess.normalisation(config_of("not_sold"), 1) == (0.25, 0.25)  # unknown
    assert preprocess.normalisation(config_of("known"), 3) == (MEAN, STD)
    assert preprocess.normalisation(config_of("known"), 1) == (pytest.approx(0.5), pytest.approx(0.3))


def test_each_channel_is_normalised_by_its_own():
    scan = np.random.default_rng(0).uniform(size=(2, 1, 3, 3, 3)).astype(np.float32)
    found = preprocess.normalise(jnp.asarray(scan), *preprocess.normalisation(config_of("known"), 3))
    np.testing.assert_allclose(found, (scan - np.array(MEAN)) / np.array(STD), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_training_and_scoring_see_the_same(channels, make_batch):
    config = config_of("known")
    config.augment = AugmentConfig(**{f.name: type(f.default)() for f in dataclasses.fields(AugmentConfig)})
    backbone = backbones.create(NAME, "group")  # batch norm differs between the two on purpose
    batch = jax.tree.map(jnp.asarray, make_batch(4, 0, (2, 32, 32, channels)))
    variables = jax.jit(lambda key: backbone.init(key, BatchSpec(*batch.scan.shape)))(jax.random.key(0))
    still = augment.Augmentation(config.augment, "ultrasound")
    train = jax.jit(lambda: encode(config, backbone, still, variables, batch, batch.row, jax.random.key(1))[0])()
    score = jax.jit(lambda: encoder_of(backbone, config)(variables, batch))()
    np.testing.assert_allclose(train, score, rtol=1e-5, atol=1e-6)
    scan = np.asarray(batch.scan, np.float32) / 255
    constants = (np.array(MEAN), np.array(STD)) if channels == 3 else (0.5, 0.3)
    seen = jnp.asarray((scan - constants[0]) / constants[1], jnp.float32)
    expected = jax.jit(lambda: backbone.apply(variables, seen, batch.mask, train=False)[0])()
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)


def test_a_run_starts_from_the_weights_goes_on_without_them_and_stores_what_it_sees(make_config, tmp_path):
    config = make_config()
    variables = published_file(weights.cached(KNOWN))
    config.backbone.weights = "known"
    config.steps = config.checkpoint.every = 1
    config.optim.learning_rate, config.optim.schedule, config.optim.warmup = 1e-30, "constant", 0.0  # nothing moves
    train(config, tmp_path / "run")
    folded = load(config, 1)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), folded)
    with Checkpoints(tmp_path / "run") as checkpoints:
        stored, _ = checkpoints.restore_for_scoring(1, shapes)
    assert_equal(jax.tree.map(np.asarray, stored["params"]), folded["params"])
    assert variables["params"]["conv1"]["kernel"].shape[2] == 3
    readout = json.loads((tmp_path / "run" / "eval" / "1" / "readout.json").read_text())
    assert readout["spec"]["input"] == {"frames": 4, "size": 32, "mean": pytest.approx(0.5), "std": pytest.approx(0.3)}
    weights.cached(KNOWN).unlink()
    train(config, tmp_path / "run")  # finished: the checkpoint has all of it


def test_a_run_that_starts_from_one_with_published_weights_sees_scans_as_that_one_did(make_config, tmp_path):
    published_file(weights.cached(KNOWN))
    config = make_config()
    config.backbone.weights, config.steps, config.checkpoint.every = "known", 1, 1
    train(config, tmp_path / "first")
    config.init_from = str(tmp_path / "first")
    train(config, tmp_path / "second")
    seen = [json.loads((tmp_path / run / "eval/1/readout.json").read_text())["spec"] for run in ("first", "second")]
    assert seen[0]["input"] == seen[1]["input"]
    assert seen[0]["input"]["mean"] == pytest.approx(np.mean(KNOWN.mean))
    config.backbone.weights = ""
    with pytest.raises(InputError, match=r"started from known weights .* Set --config.backbone.weights=known too"):
        train(config, tmp_path / "third")
