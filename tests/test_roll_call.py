"""Processes of a run learn who has come, and who has not."""

import json
import socket
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from learner_jax.roll_call import Unreachable, roll_call
from tests.command import free_port
from tfds_builders.errors import InputError


def outcomes(who, *, port=None, seconds=1):
    """What each of ``who``, pairs of its index and its number of processes, learns: None or an exception."""
    address = f"127.0.0.1:{free_port() if port is None else port}"
    with ThreadPoolExecutor(len(who)) as threads:
        calls = [threads.submit(roll_call, address, of, process, seconds) for process, of in who]
        return [call.exception() for call in calls]


def test_all_come_whatever_their_order():
    port = free_port()
    with ThreadPoolExecutor(5) as threads:
        address = f"127.0.0.1:{port}"
        calls = []
        for process in (3, 0, 4, 1, 2):
            assert not any(call.done() for call in calls)
            calls.append(threads.submit(roll_call, address, 5, process, 20))
            time.sleep(0.1)
        assert [call.result() for call in calls] == [None] * 5
    socket.create_server(("", port)).close()  # JAX's service follows at this address


def test_every_process_that_came_names_those_that_did_not():
    told = outcomes([(0, 6), (4, 6), (1, 6)])
    assert [type(fault) for fault in told] == [Unreachable] * 3
    for process, fault in zip((0, 4, 1), told, strict=True):
        assert str(fault).startswith(f"process {process} waited 1 s for process 2, 3, 5 of 6. Start all processes")


def test_who_does_not_find_process_0_says_where_it_looked():
    port = free_port()
    told = outcomes([(1, 3), (2, 3)], port=port)
    for process, fault in zip((1, 2), told, strict=True):
        assert isinstance(fault, Unreachable)
        assert f"process {process} waited 1 s for process 0, which does not answer at 127.0.0.1:{port}. " in str(fault)


def test_a_later_process_takes_the_place_of_an_earlier_one_with_its_number():
    """The earlier one may be left over from before a restart."""
    port = free_port()
    with ThreadPoolExecutor(4) as threads:
        first, *twice = (threads.submit(roll_call, f"127.0.0.1:{port}", 3, process, 20) for process in (0, 1, 1))
        (earlier,), (later,) = wait(twice, return_when=FIRST_COMPLETED)
        with pytest.raises(Unreachable, match="process 1 ends, as another process with this number came later"):
            earlier.result()
        assert threads.submit(roll_call, f"127.0.0.1:{port}", 3, 2, 20).result() is None
        assert first.result() is None
        assert later.result() is None


def test_numbers_that_do_not_fit_are_told_to_those_who_wait_in_vain():
    told = outcomes([(0, 5), (2, 5), (3, 4)], seconds=2)
    assert [type(fault) for fault in told] == [Unreachable, Unreachable, InputError]
    differ = "process 3 was told of 4 processes, process 0 of 5. Start all processes of the run"
    assert str(told[2]).startswith(differ)
    for process, fault in zip((0, 2), told, strict=False):
        assert str(fault).startswith(f"process {process} waited 2 s for process 1, 3, 4 of 5; {differ}")

    told = outcomes([(0, 4), (2, 4), (2, 4)], seconds=2)
    assert [type(fault) for fault in told] == [Unreachable] * 3
    assert "waited 2 s for process 1, 3 of 4; two processes said that they are process 2. Start all" in str(told[0])
    assert sorted("as another process with this number came later" in str(fault) for fault in told[1:]) == [False, True]


def test_strangers_do_not_count():
    port = free_port()
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(roll_call, f"127.0.0.1:{port}", 2, 0, 20)]
        said = (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"[1]\n",
            b'{"process": 1}\n',
            b'{"process": "x", "of": 2}\n',
            b"\xff\n",
        )
        strangers = [_connected(port) for _ in said]
        for stranger, words in zip(strangers, said, strict=True):
            stranger.sendall(words)
        for stranger in strangers[1:]:
            assert stranger.recv(100) == b""
        assert not calls[0].done()
        calls.append(threads.submit(roll_call, f"127.0.0.1:{port}", 2, 1, 20))
        assert [call.result() for call in calls] == [None, None]  # though the first stranger still says nothing
        for stranger in strangers:
            stranger.close()


def test_a_process_that_dies_while_it_waits_is_absent_until_it_comes_again():
    port = free_port()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(roll_call, f"127.0.0.1:{port}", 3, 0, 20)
        dies = _connected(port)
        dies.sendall(json.dumps({"process": 1, "of": 3}).encode() + b"\n")
        time.sleep(0.2)
        dies.close()
        time.sleep(0.2)
        others = [threads.submit(roll_call, f"127.0.0.1:{port}", 3, process, 20) for process in (1, 2)]
        assert [call.result() for call in (first, *others)] == [None] * 3


def test_process_0_may_be_started_again():
    port = free_port()
    with ThreadPoolExecutor(3) as threads:
        waits = threads.submit(roll_call, f"127.0.0.1:{port}", 2, 1, 20)
        with socket.create_server(("127.0.0.1", port)) as before:
            before.settimeout(20)
            visitor, _ = before.accept()
            assert json.loads(visitor.makefile().readline()) == {"process": 1, "of": 2}
            visitor.close()
        assert threads.submit(roll_call, f"127.0.0.1:{port}", 2, 0, 20).result() is None
        assert waits.result() is None


def test_an_address_in_use_may_be_free_after_a_restart():
    with socket.create_server(("", 0)) as other:
        (fault,) = outcomes([(0, 2)], port=other.getsockname()[1])
    assert isinstance(fault, Unreachable)
    assert str(fault).startswith("process 0 cannot listen at 127.0.0.1:")


@pytest.mark.parametrize("bind", ["127.0.0.1:{}", "0.0.0.0:{}", "[::]:{}"])
def test_process_0_listens_where_jax_is_told_to(monkeypatch, bind):
    port = free_port()
    monkeypatch.setenv("JAX_COORDINATOR_BIND_ADDRESS", bind.format(port))
    assert outcomes([(0, 2), (1, 2)], port=port, seconds=20) == [None, None]


def _connected(port):
    """A connection to ``port`` as soon as somebody listens there."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(port)
