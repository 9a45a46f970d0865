"""Published weights: the register, where files are looked for, how a run starts from them and what it then sees."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from benchmarks.collectives import collectives
from learner_jax import augment, backbones, preprocess
from learner_jax.backbones import pretrained, weights
from learner_jax.backbones.weights import PUBLISHED, Weights
from learner_jax.batch import BatchSpec
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import AugmentConfig, Config
from learner_jax.encoder import encode
from learner_jax.evaluators.embed import encoder_of
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.evaluators.saliency import score_of
from learner_jax.mesh import make_mesh, to_global
from learner_jax.predict.run import open_run
from learner_jax.train import train
from tfds_builders.errors import InputError

NAME = "tsm_resnet18-test"
MEAN, STD = (0.2, 0.4, 0.9), (0.1, 0.2, 0.6)
KNOWN = Weights("known", (NAME,), "https://example.org/known.pth", "MIT", sha256="ab12", mean=MEAN, std=STD)
NOT_SOLD = Weights(
    "not_sold", (NAME,), "https://example.org/not_sold.pth", "CC-BY-NC-4.0", non_commercial=True, each_scan="foreground"
)
DIVIDED = Weights("divided", (NAME,), "https://example.org/divided.pth", "MIT", each_scan="mean")
STILL = AugmentConfig(**{f.name: type(f.default)() for f in dataclasses.fields(AugmentConfig)})
PACKED = Weights("packed", (NAME,), "https://pypi.org/project/absent/", "", package="absent_weights")


@pytest.fixture(autouse=True)
def register(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "PUBLISHED", (*PUBLISHED, KNOWN, NOT_SOLD, DIVIDED, PACKED))
    monkeypatch.setenv("LEARNER_WEIGHTS", str(tmp_path / "cache"))


def config_of(name: str, **more) -> Config:
    config = Config()
    config.backbone.name, config.backbone.weights = NAME, name
    config.backbone.accept_license = more.get("accept_license", False)
    return config


def published_file(path, channels=3, seed=0, source="ab12ff", name="", **more):
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
    about = {weights.SOURCE_SHA256: source, weights.PUBLISHED_AS: name}
    save_file(tensors | more, path, {key: text for key, text in about.items() if text} or None)
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
    assert bool(entry.mean) != bool(entry.each_scan)  # how it saw scans is known of every one
    assert not entry.name.endswith(weights.SUFFIX)


def test_the_list_shows_name_backbones_licence_address_and_normalisation(capsys):
    assert weights.main([]) == 0
    shown = capsys.readouterr().out
    for entry in (*PUBLISHED, NOT_SOLD):
        assert all(text in shown for text in (entry.name, entry.licence, entry.address, *entry.backbones))
    for entry, words in (
        (weights.find("medicalnet", "resnet3d_50"), "each scan by itself: (x - mean) / std over its pixels above 0"),
        (weights.find("ukbiobank_age"), "each scan by itself: x / mean"),
        (weights.find("imagenet", "swin3d_t"), "(x - mean) / std, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"),
        (weights.find("mae"), "(x - mean) / std, mean 0.485"),
        (weights.find("kinetics400", "x3d_s"), "(x - mean) / std, mean 0.45, std 0.225"),
    ):
        assert f"{entry.address}\n    {words}" in shown
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
    variables = published_file(tmp_path / "w.safetensors", source="99ff")
    assert_equal(load(config_of(str(tmp_path / "w.safetensors"))), variables)


def test_published_weights_named_by_a_path_are_asked_for_by_name(tmp_path):
    path = tmp_path / "w.safetensors"
    published_file(path, source="ab12ff")  # that of KNOWN begins so
    sentence = rf"w.safetensors holds the known weights of {NAME}, .* copy it to {weights.cached(KNOWN)} and set "
    with pytest.raises(InputError, match=sentence + "--config.backbone.weights=known$"):
        load(config_of(str(path)))
    published_file(path, source="77aa", name="not_sold")
    with pytest.raises(InputError, match=r"the not_sold weights .* --config.backbone.weights=not_sold$"):
        load(config_of(str(path), accept_license=True))
    published_file(path, source="77aa", name="kinetics400")  # there are none of this backbone
    assert load(config_of(str(path))) is not None
    published_file(weights.cached(KNOWN))
    with pytest.raises(InputError, match=r"only by their name; set --config.backbone.weights=known$"):
        load(config_of(str(weights.cached(KNOWN))))


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


def test_weights_for_batch_norm_say_so_to_a_backbone_with_group_norm(tmp_path):
    path = tmp_path / "w.safetensors"
    published_file(path, source="")
    config, group = config_of(str(path)), backbones.create(NAME, "group")
    sentence = rf"w.safetensors holds weights of {NAME} with batch norm; set --config.backbone.norm=batch$"
    with pytest.raises(InputError, match=sentence):
        weights.load(config, group, BatchSpec(1, 4, 32, 32, 3))
    published_file(path, source="", **{"head.weight": np.zeros((2, 3), np.float32)})  # then that is not all
    with pytest.raises(InputError, match=r"does not hold weights of .*\n  unexpected"):
        weights.load(config, group, BatchSpec(1, 4, 32, 32, 3))


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
    assert preprocess.normalisation(config_of(""), 3) == (0.25, 0.25, "")
    assert preprocess.normalisation(config_of("some/file.safetensors"), 1) == (0.25, 0.25, "")
    assert preprocess.normalisation(config_of("known"), 3) == (MEAN, STD, "")
    assert preprocess.normalisation(config_of("known"), 1) == (pytest.approx(0.5), pytest.approx(0.3), "")


@pytest.mark.parametrize(
    ("name", "backbone", "rule"),
    [
        *((("medicalnet", f"resnet3d_{depth}", "foreground")) for depth in (10, 18, 34, 50)),
        ("brainiac", "vit3d_b16_first", "foreground"),
        ("brainiac", "vit3d_b16_mean", "foreground"),
        ("ukbiobank_age", "sfcn", "mean"),
    ],
)
def test_weights_of_volumes_see_each_scan_normalised_by_itself(name, backbone, rule):
    config = config_of(name)
    config.backbone.name = backbone
    assert preprocess.normalisation(config, 1) == (0.0, 1.0, rule)


def foreground(scan):
    """In float64, scan by scan."""
    seen = np.zeros(scan.shape)
    for one, found in zip(scan.astype(np.float64), seen, strict=True):
        if one.max() > one[one > 0].min():
            found[one > 0] = (one[one > 0] - one[one > 0].mean()) / one[one > 0].std()
    return seen


def divided(scan):
    scan = scan.astype(np.float64)
    return scan / scan.mean((1, 2, 3, 4), keepdims=True)


RULES = {"foreground": foreground, "mean": divided}


def heads(size, n=3, seed=0):
    """Volumes of grey balls in black, each of its own size and brightness."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij"))
    radius = rng.uniform(0.5, 1.2, (n, 1, 1, 1))
    scan = rng.uniform(0.2, 1, size=(n, *size)) ** 2 * (np.square(places).sum(0) < radius)
    return (rng.uniform(0.1, 1, (n, 1, 1, 1)) * scan)[..., None].astype(np.float32)


@pytest.mark.parametrize("size", [(9, 12, 10), (160, 192, 160)], ids=["small", "of the UK Biobank"])
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_for_each_scan_is_that_of_float64(rule, size):
    scan = heads(size, 2)
    found = np.asarray(jax.jit(lambda scan: preprocess.normalise(scan, 0.0, 1.0, rule))(scan))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, RULES[rule](scan), rtol=2e-6, atol=2e-6)
    assert not found[scan == 0].any()


@pytest.mark.parity
def test_the_rule_of_the_foreground_is_monai_s():
    from monai.transforms import NormalizeIntensity

    scan = heads((20, 24, 16))
    scan[1] = 0
    scan[2] = np.where(scan[2] > 0, np.float32(0.25), 0)  # of 0.3, MONAI divides the rounding of its mean by itself: -1
    found = preprocess.normalise(jnp.asarray(scan), 0.0, 1.0, "foreground")
    for one, ours in zip(scan, found, strict=True):
        theirs = np.asarray(NormalizeIntensity(nonzero=True)(one[..., 0].copy()))
        np.testing.assert_allclose(ours[..., 0], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_scans_of_one_grey_and_masked_rows_stay_finite_with_their_gradients(rule):
    scan = np.zeros((4, 4, 32, 32, 1), np.float32)  # the first is what a row that cannot be read holds
    scan[1], scan[2, 1, 3, 5], scan[3, :2] = 0.3, 0.7, 0.1
    weight = np.random.default_rng(0).normal(size=scan.shape).astype(np.float32)
    loss = lambda scan: (preprocess.normalise(scan, 0.0, 1.0, rule) * weight).sum()  # noqa: E731
    seen = np.asarray(jax.jit(lambda scan: preprocess.normalise(scan, 0.0, 1.0, rule))(scan))
    assert np.isfinite(jax.jit(jax.grad(loss))(scan)).all()
    if rule == "foreground":
        np.testing.assert_array_equal(seen, 0)
    else:
        np.testing.assert_array_equal(seen[0], 0)
        np.testing.assert_allclose(seen[1:], divided(scan[1:]), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_sees_one_scan_whatever_the_batch_its_order_and_the_devices(rule):
    scan, order = heads((6, 33, 30), 16), np.random.default_rng(0).permutation(16)
    see = jax.jit(lambda scan: preprocess.normalise(scan, 0.0, 1.0, rule))
    alone = np.concatenate([see(scan[i : i + 1]) for i in range(16)])
    np.testing.assert_allclose(see(scan[order]), alone[order], rtol=1e-6, atol=1e-6)
    for devices in (2, 8):
        mesh = make_mesh(jax.devices()[:devices])
        compiled = see.lower(to_global(mesh, scan)).compile()
        assert not collectives(compiled.as_text())
        np.testing.assert_allclose(compiled(to_global(mesh, scan)), alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "rule"), [("not_sold", "foreground"), ("divided", "mean")])
def test_training_scoring_and_export_see_each_scan_by_its_rule(name, rule, make_batch):
    config = config_of(name)
    config.augment = STILL
    backbone = backbones.create(NAME, "group")
    batch = make_batch(3, 0, (2, 32, 32, 1))
    batch.scan[0, :, :20] = batch.scan[2, :, 3:9] = 0
    batch.scan[1] //= 3
    batch = jax.tree.map(jnp.asarray, batch)
    variables = jax.jit(lambda key: backbone.init(key, BatchSpec(*batch.scan.shape)))(jax.random.key(0))
    still = augment.Augmentation(config.augment, "mri")
    pixels = np.asarray(batch.scan, np.float32) / 255
    seen = jnp.asarray(RULES[rule](pixels), jnp.float32)
    expected = jax.jit(lambda: backbone.apply(variables, seen, batch.mask, train=False)[0])()
    train = jax.jit(lambda: encode(config, backbone, still, variables, batch, batch.row, jax.random.key(1))[0])()
    np.testing.assert_allclose(train, expected, rtol=1e-4, atol=1e-5)
    score = jax.jit(lambda: encoder_of(backbone, config)(variables, batch))()
    np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)
    d = backbone.dim
    readout = LinearScore("ridge", True, mean=np.zeros(d), std=np.ones(d), coef=np.arange(d) / d, intercept=0.0)
    said = jax.jit(score_of(backbone, config, readout, variables))(pixels)
    np.testing.assert_allclose(said, expected @ (np.arange(d) / d), rtol=1e-4, atol=1e-4)


def test_each_channel_is_normalised_by_its_own():
    scan = np.random.default_rng(0).uniform(size=(2, 1, 3, 3, 3)).astype(np.float32)
    found = preprocess.normalise(jnp.asarray(scan), *preprocess.normalisation(config_of("known"), 3))
    np.testing.assert_allclose(found, (scan - np.array(MEAN)) / np.array(STD), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_training_and_scoring_see_the_same(channels, make_batch):
    config = config_of("known")
    config.augment = STILL
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


@pytest.mark.parametrize("entry", [KNOWN, DIVIDED], ids=lambda entry: entry.name)
def test_a_run_that_starts_from_one_with_published_weights_sees_scans_as_that_one_did(entry, make_config, tmp_path):
    published_file(weights.cached(entry))
    config = make_config()
    config.backbone.weights, config.steps, config.checkpoint.every = entry.name, 1, 1
    train(config, tmp_path / "first")
    config.init_from = str(tmp_path / "first")
    train(config, tmp_path / "second")
    seen = [json.loads((tmp_path / run / "eval/1/readout.json").read_text())["spec"] for run in ("first", "second")]
    assert seen[0]["input"] == seen[1]["input"]
    told = seen[0]["input"]["mean"], seen[0]["input"]["std"], seen[0]["input"].get("each_scan", "")
    assert told == preprocess.normalisation(open_run(tmp_path / "second").config, 1)  # what predictions see
    assert told == ((pytest.approx(0.5), pytest.approx(0.3), "") if entry is KNOWN else (0.0, 1.0, "mean"))
    config.backbone.weights = ""
    sentence = rf"started from {entry.name} weights .* Set --config.backbone.weights={entry.name} too"
    with pytest.raises(InputError, match=sentence):
        train(config, tmp_path / "third")
