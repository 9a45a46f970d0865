"""What the loop of a real run does not do: compile after step 1, move arrays unasked, wait for a running step."""

import jax
import pytest

from learner_jax import train as trainer
from learner_jax.train import train

STEPS = 6


@pytest.fixture
def config(make_config):
    config = make_config()
    config.steps, config.checkpoint.every, config.eval.readouts = STEPS, 2, "none"
    return config


@pytest.fixture
def compiling():
    """Names of what JAX traces, lowers and compiles, as it happens."""
    events = []

    def heard(name: str, seconds: float, **_: object) -> None:
        if name.startswith("/jax/core/compile/"):
            events.append(name)

    jax.monitoring.register_event_duration_secs_listener(heard)
    jax.jit(lambda x: 2 * x)(1.0)  # the step itself may be one that an earlier test of this process compiled
    assert events, "the listener hears"
    yield events
    jax.monitoring.unregister_event_duration_listener(heard)


@pytest.mark.parametrize("cache", ["none", "device"])
def test_nothing_is_compiled_and_nothing_moved_unasked_after_the_first_step(config, tmp_path, compiling, cache):
    """From the end of the update of step 1 to that of the last one, with two saves in between.

    On a CPU, JAX guards only the way to the device.
    """
    config.data.cache, seen = cache, {}

    def after_update(step: int) -> bool:
        seen[step] = len(compiling)
        jax.config.update("jax_transfer_guard", "disallow" if step < STEPS else "allow")
        return False

    try:
        train(config, tmp_path, preempted=after_update)
    finally:
        jax.config.update("jax_transfer_guard", "allow")
    assert set(seen) == set(range(1, STEPS + 1))
    assert seen[STEPS] == seen[1], compiling[seen[1] :]


def test_metrics_are_read_of_the_step_before_and_never_of_the_one_that_runs(config, tmp_path, monkeypatch):
    config.checkpoint.every = 100  # a save waits for its step, and it must
    made, reads, running = {}, [], 0  # made: array -> its step; arrays are kept, so that no id comes twice

    def compiled(*args):
        update = real_compiled(*args)

        def counted(state, batch):
            nonlocal running
            state, metrics = update(state, batch)
            running += 1
            made.update({id(leaf): (running, leaf) for leaf in jax.tree.leaves((state, metrics))})
            return state, metrics

        return counted

    def value(array):
        if running and id(array) in made:
            reads.append((running, made[id(array)][0]))
        return real_value.fget(array)

    kind = type(jax.numpy.zeros(()))
    real_compiled, real_value = trainer.compiled, kind._value
    monkeypatch.setattr(trainer, "compiled", compiled)
    monkeypatch.setattr(kind, "_value", property(value))
    train(config, tmp_path)
    in_between = [(now, of) for now, of in reads if now < STEPS]
    assert {now - of for now, of in in_between} == {1}, in_between
    assert {now for now, _ in in_between} == set(range(2, STEPS))
