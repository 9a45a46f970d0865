"""Runs on a SLURM cluster: one job array, submitted through submitit (extra ``slurm``) and waited for."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit

from learner_jax.sweep.task import PREEMPTED, Outcome, Task, outcome, said
from tfds_builders.errors import InputError

_LOOK = 0.5  # seconds between two checks whether a task has ended
_TO_SAVE = 60.0  # seconds that a trainer has to commit its checkpoint once it is told to stop


class Element:
    """One job of the array: a task, which continues in a new job if SLURM ends this one early."""

    def __init__(self, task: Task):
        self._task, self._process = task, None

    def __call__(self) -> int:
        """Do the task, and again while it is preempted; returns the exit code of its command."""
        code = PREEMPTED
        while code == PREEMPTED:
            with self._task.log.open("ab") as log:
                self._process = subprocess.Popen(self._task.command, stdout=log, stderr=subprocess.STDOUT)
            # No wait(): it would hold a lock that checkpoint(), which runs in a signal handler, waits for.
            while (code := self._process.poll()) is None:
                time.sleep(_LOOK)
        return code

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit before the job is ended: the trainer commits a checkpoint, and the job is requeued."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_TO_SAVE)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return submitit.helpers.DelayedSubmission(Element(self._task))


class Slurm:
    """Launches tasks on a cluster.

    Args:
      folder: for submitit's own files; all nodes must see it.
      partition: to submit to; empty: the cluster's default.
      hours: time limit of each job.
      cluster: as submitit names it; ``local`` runs the jobs as processes on this machine.
      say: called with a sentence on what is submitted, and on each job that has ended.
      options: of submitit's executor, such as ``slurm_account``.
    """

    def __init__(
        self,
        folder: Path,
        partition: str = "",
        hours: float = 8.0,
        cluster: str = "slurm",
        say: Callable[[str], None] = print,
        **options: Any,
    ):
        self._say = say
        if cluster == "slurm" and not shutil.which("sbatch"):
            raise InputError("--launcher slurm: no sbatch is here. Submit where it is, or use --launcher local")
        self._executor = submitit.AutoExecutor(folder, cluster=cluster)
        parameters: dict[str, Any] = {"timeout_min": round(60 * hours), "name": "learner_jax"}
        if cluster == "slurm":
            parameters |= {"slurm_partition": partition} if partition else {}
            parameters |= {"gpus_per_node": 1, "slurm_signal_delay_s": 120}
        self._executor.update_parameters(**parameters | options)

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Submit all tasks as one array and wait for them; one that fails does not stop the others."""
        if not tasks:
            return []
        for task in tasks:
            task.log.parent.mkdir(parents=True, exist_ok=True)
        began, since = time.monotonic(), {task.name: said(task.log) for task in tasks}
        with self._executor.batch():
            jobs = [self._executor.submit(Element(task)) for task in tasks]
        self._say(f"{len(jobs)} jobs submitted: {jobs[0].job_id} to {jobs[-1].job_id}")
        found = []
        for job, task in zip(jobs, tasks, strict=True):
            try:
                code = job.result()
            except Exception as fault:  # submitit has several for jobs that are lost, cancelled or out of time
                found.append(Outcome(task, 1, time.monotonic() - began, str(fault).strip().splitlines()[-1]))
            else:
                found.append(outcome(task, code, time.monotonic() - began, since[task.name]))
            self._say(str(found[-1]))
        return found
