"""Names: found, listed, given once; an unknown one is answered with the nearest."""

import pytest

from learner_jax import backbones, objectives
from learner_jax.backbones import api as backbone_api
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.registry import Registry
from tfds_builders.errors import InputError


def test_an_unknown_backbone_is_answered_with_the_nearest_and_the_flag():
    with pytest.raises(
        InputError,
        match=r"no backbone is called 'tsm_resnet1'; did you mean 'tsm_resnet18'\?.*Set --config.backbone.name",
    ):
        backbones.create("tsm_resnet1")


def test_an_unknown_objective_is_answered_with_all_names():
    with pytest.raises(InputError, match=r"possible: adacon, conr, .*, threshold_kernel, y_aware\. Set --config"):
        objectives.create(ObjectiveConfig(name="zzz"), make_mesh(), 1)


def test_test_variants_exist_and_are_not_listed():
    assert "tsm_resnet18-test" in backbone_api.backbones.list()
    assert not [name for name in backbones.list_backbones() if name.endswith("-test")]


def test_a_name_is_given_once():
    registry = Registry("thing", "config.thing")
    registry.register("a")(1)
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("a")(2)
