import io

from learner_jax.report.progress import Progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_come_every_ten_seconds_and_at_the_end():
    clock, stream = Clock(), io.StringIO()
    with Progress(300, 0, 32, stream=stream, clock=clock) as progress:
        for step in range(1, 121):
            clock.now += 0.2
            progress.update(step, 0.412)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3  # after 10 s, after 20 s, at the end (24 s)
    assert lines[-1] == "step 120/300  loss 0.412  160 examples/s  eta 0:00:36"


def test_compilation_in_the_first_step_is_not_counted_as_slowness():
    clock, stream = Clock(), io.StringIO()
    with Progress(10, 0, 10, stream=stream, clock=clock) as progress:
        clock.now = 60.0
        progress.update(1, 1.0)
        clock.now = 61.0
        progress.update(2, 1.0)
    assert "10 examples/s  eta 0:00:08" in stream.getvalue()


def test_resumed_steps_are_not_counted_as_speed():
    clock, stream = Clock(), io.StringIO()
    with Progress(1000, 900, 1, stream=stream, clock=clock) as progress:
        for step in (901, 902, 903):
            clock.now += 1
            progress.update(step)
    assert stream.getvalue() == "step 903/1000  1 examples/s  eta 0:01:37\n"


def test_a_loss_left_on_the_device_keeps_the_last_one():
    stream = io.StringIO()
    with Progress(10, label="combined", stream=stream) as progress:
        progress.update(1, 0.5)
        progress.update(2)
    assert stream.getvalue().startswith("combined  step 2/10  loss 0.500")


def test_nothing_done_prints_nothing():
    stream = io.StringIO()
    with Progress(10, stream=stream):
        pass
    assert stream.getvalue() == ""


def test_terminal_shows_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with Progress(10, 0, 4, label="[arm]", stream=stream) as progress:
        progress.update(1, 0.5)
        progress.update(10, 0.25)
    assert "[arm]" in stream.getvalue()
    assert "10/10  loss 0.250" in stream.getvalue()


def test_input_wait_is_told_where_it_is_known():
    clock, stream = Clock(), io.StringIO()
    with Progress(300, 0, 32, stream=stream, clock=clock) as progress:
        for step in range(1, 121):
            clock.now += 0.2
            progress.update(step, 0.412, None if step == 1 else 0.0034)
    assert stream.getvalue().endswith("step 120/300  loss 0.412  160 examples/s  input wait 0.3 %  eta 0:00:36\n")
    assert round(progress.rate) == 160


def test_the_bar_tells_input_wait(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream, clock = Terminal(), Clock()
    with Progress(10, 0, 4, stream=stream, clock=clock) as progress:
        for step in (1, 10):
            clock.now += 1
            progress.update(step, 0.5, 0.25)
    assert "36 examples/s  input wait 25.0 %  eta 0:00:00" in stream.getvalue()
