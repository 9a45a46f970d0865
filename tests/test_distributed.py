"""A process without others is alone; flags and clusters that do not make sense are not taken for that."""

import subprocess
import sys
from pathlib import Path

import jax
import pytest

from learner_jax import distributed
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[1]


ALONE = """
from learner_jax import distributed
distributed.start(None, None, None)
assert distributed.alone()
assert distributed.first()
distributed.meet("here")
assert distributed.agreed({"step": 3}) == {"step": 3}
"""


def test_without_flags_and_cluster_a_process_is_alone():
    """In a new process, for JAX starts this before it has devices; a changed sentence of JAX's would fail here."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", [("host:1", None, None), (None, 2, 0), ("host:1", 2, None)])
def test_flags_go_together(given):
    with pytest.raises(InputError, match="--coordinator_address, --num_processes and --process_id go together"):
        distributed.start(*given)


def test_a_number_that_no_process_has_is_refused_with_what_came(tmp_path):
    flags = ("--coordinator_address=127.0.0.1:1", "--num_processes=2", "--process_id=2")
    command = [sys.executable, "-m", "learner_jax.main", "--config=configs/demo.py", f"--workdir={tmp_path}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "error: --process_id is 2 and --num_processes 2; processes are numbered from 0 to 1" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("OMPI_COMM_WORLD_SIZE", "2"), ("PMI_SIZE", "4"), ("JOB_COMPLETION_INDEX", "3")]
)
def test_one_of_several_that_jax_knows_nothing_of_is_not_taken_for_one_alone(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(
        InputError, match=rf"{name} is {value}, so this is one of several .* Give --coordinator_address"
    ):
        distributed.start(None, None, None)


def test_a_task_alone_in_slurm_keeps_all_its_devices(monkeypatch):
    alone = {"JOB_ID": "7", "STEP_NODELIST": "here", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}
    for name, value in alone.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: pytest.fail("it hides all GPUs but the first"))
    distributed.start(None, None, None)


def test_an_address_without_a_port_is_refused():
    with pytest.raises(InputError, match="--coordinator_address is 'host0'; it is HOST:PORT of process 0"):
        distributed.start("host0", 2, 0)


def test_a_cluster_that_is_not_understood_is_not_taken_for_none(monkeypatch):
    for name in ("JOB_ID", "STEP_NODELIST", "NTASKS", "PROCID", "LOCALID"):
        monkeypatch.setenv(f"SLURM_{name}", "x")
    with pytest.raises(ValueError, match="invalid literal for int"):
        distributed.start(None, None, None)


def test_a_cluster_that_tells_half_is_not_taken_for_none(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "host:1")
    with pytest.raises(
        InputError, match=r"the cluster tells address host:1, None processes .* Give --coordinator_addr"
    ):
        distributed.start(None, None, None)
