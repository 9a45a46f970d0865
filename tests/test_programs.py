"""Runs of one process share programs exactly where nothing that a program depends on differs."""

import dataclasses
import json

import pytest

from learner_jax import compiled_step, programs
from learner_jax.assembly import assemble
from learner_jax.config import Config
from learner_jax.fields import walk
from learner_jax.train import train

# What reaches a program as data, as shapes, or not at all; any other field is part of what it is found by.
NO_PART = ("init_from", "seed", "optim.learning_rate", "log_every", "trackers", "profile", "checkpoint.", "eval.")
OF_THE_DATA = ("data.frames", "data.size", "data.mean", "data.std")


def changed(value):
    if isinstance(value, bool):
        return not value
    return f"{value}?" if isinstance(value, str) else (0.0 if value is None else value) + 1


@pytest.mark.parametrize("path", [path for path, *_ in walk(Config())])
def test_every_field_that_may_reach_a_program_is_part_of_its_key(path):
    config = Config()
    *sections, name = path.split(".")
    section = config if not sections else getattr(config, sections[0])
    for inner in sections[1:]:
        section = getattr(section, inner)
    setattr(section, name, changed(getattr(section, name)))
    apart = path.startswith(NO_PART) or (path.startswith("data.") and path not in OF_THE_DATA)
    assert (programs.key_of(config) == programs.key_of(Config())) == apart


def test_a_key_gives_its_config_back(make_config):
    config = make_config()
    again = programs.config_of(programs.key_of(config))
    assert programs.key_of(again) == programs.key_of(config)
    assert dataclasses.asdict(again.objective) == dataclasses.asdict(config.objective)


def test_a_recipe_is_shared_by_seeds_and_rates_and_not_by_schedules(make_config):
    first, seed, rate, schedule = (make_config() for _ in range(4))
    seed.seed, seed.data.draw, rate.optim.learning_rate, schedule.optim.warmup = 1, 1, 0.5, 0.5
    recipe = assemble(first).recipe
    assert assemble(seed).recipe is recipe
    assert assemble(rate).recipe is recipe
    assert assemble(schedule).recipe is not recipe
    first.optim.warmup = 0.5  # a config that is changed afterwards changes no program
    assert recipe.config.optim.warmup != 0.5


def test_a_second_run_compiles_no_step_and_has_the_numbers_of_a_process_of_its_own(make_config, tmp_path):
    def trained(seed: int, name: str) -> list[dict]:
        config = make_config()
        config.seed, config.objective.temperature = seed, 0.31  # a step that no other test compiles
        config.optim.learning_rate = 1e-3 * (1 + seed)
        train(config, tmp_path / name)
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    trained(0, "first")
    before = compiled_step._program.cache_info()
    shared = trained(1, "shared")
    after = compiled_step._program.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
    compiled_step._program.cache_clear()
    alone = trained(1, "alone")
    assert [line["loss"] for line in shared] == [line["loss"] for line in alone]
    scores = [(tmp_path / name / "eval" / "4" / "scores.json").read_text() for name in ("shared", "alone")]
    assert scores[0] == scores[1]
