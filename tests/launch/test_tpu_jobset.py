"""The JobSet: what its policies make of each exit code, that its numbers agree, and that a cluster would take it."""

import importlib.util
import json
import math
import re

import pytest
import yaml

from learner_jax.config import Config
from learner_jax.fields import check_override
from tests.launch.stand_ins import ROOT

_VALIDATORS = all(importlib.util.find_spec(name) for name in ("kubernetes_validate", "kubeflow_trainer_api"))
needs_validators = pytest.mark.skipif(not _VALIDATORS, reason="needs kubernetes-validate and kubeflow-trainer-api")


@pytest.fixture
def jobset() -> dict:
    return yaml.safe_load((ROOT / "launch/tpu_jobset.yaml").read_text())


@pytest.fixture
def job(jobset) -> dict:
    (replicated,) = jobset["spec"]["replicatedJobs"]
    return replicated["template"]["spec"]


@pytest.fixture
def container(job) -> dict:
    (container,) = job["template"]["spec"]["containers"]
    return container


def fails_with(job: dict, code: int, conditions: tuple[str, ...] = ()) -> tuple[str, str]:
    """Reason and message of a Job in which a container ended with ``code``, as the Job controller words them."""
    for index, rule in enumerate(job["podFailurePolicy"]["rules"]):
        assert rule["action"] == "FailJob"
        codes, condition = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes and codes["operator"] == "In" and code in codes["values"]:
            told = f"Container {codes['containerName']} for pod a/b failed with exit code {code}"
        elif condition and condition[0]["type"] in conditions:
            told = f"Pod a/b has condition {condition[0]['type']}"
        else:
            continue
        return "PodFailurePolicy", f"{told} matching FailJob rule at index {index}"
    assert job["backoffLimit"] == 0
    return "BackoffLimitExceeded", "Job has reached the specified backoff limit"


def action(jobset: dict, reason: str, message: str) -> str:
    for rule in jobset["spec"]["failurePolicy"]["rules"]:
        patterns = rule.get("onJobFailureMessagePatterns", [""])
        if reason in rule["onJobFailureReasons"] and any(re.search(pattern, message) for pattern in patterns):
            return rule["action"]
    return "RestartJobSet"


@pytest.mark.parametrize(
    ("code", "conditions", "leads_to"),
    [
        (2, (), "FailJobSet"),
        (143, (), "RestartJobSetAndIgnoreMaxRestarts"),
        (137, ("DisruptionTarget",), "RestartJobSetAndIgnoreMaxRestarts"),  # its node was taken without notice
        (1, (), "RestartJobSet"),
        (134, (), "RestartJobSet"),
        (137, (), "RestartJobSet"),  # out of memory
        (132, (), "RestartJobSet"),  # ends in a 2
    ],
)
def test_what_a_code_leads_to(jobset, job, code, conditions, leads_to):
    assert action(jobset, *fails_with(job, code, conditions)) == leads_to
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] > 0


def test_hosts_and_chips_make_up_the_slice(job, container):
    chips = math.prod(map(int, job["template"]["spec"]["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")))
    assert job["parallelism"] == job["completions"]
    assert job["completions"] * container["resources"]["limits"]["google.com/tpu"] == chips


def test_the_trainer_is_process_1_with_time_to_commit(job, container):
    assert container["command"] == ["python", "-m", "learner_jax.main"]
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] > 25
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert {
        rule["onExitCodes"]["containerName"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule
    } == {container["name"]}


def test_its_flags_are_flags(container):
    given = dict(argument.removeprefix("--").split("=", 1) for argument in container["args"])
    assert (ROOT / given.pop("config")).is_file()
    assert given.pop("workdir").startswith(container["volumeMounts"][0]["mountPath"])
    for name, value in given.items():
        check_override(Config, f"--{name}={value}")


@needs_validators
def test_the_job_is_one_for_kubernetes(job):
    import kubernetes_validate

    whole = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "slice"}, "spec": job}
    kubernetes_validate.validate(whole, kubernetes_validate.latest_version(), strict=True)


@needs_validators
def test_the_jobset_has_only_fields_that_jobset_knows(jobset):
    from kubeflow_trainer_api.models import JobsetV1alpha2JobSet as JobSet

    def unknown() -> list[str]:
        return list(left_out(jobset, json.loads(JobSet.from_dict(jobset).to_json())))

    assert unknown() == []
    jobset["spec"]["failurePolicy"]["maxRestart"] = 1
    assert unknown() == ["maxRestart"]


def left_out(given, known):
    """Fields that are not in ``known``, which may hold defaults beside them."""
    pairs = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in pairs:
        if isinstance(given, dict) and key not in known:
            yield key
        else:
            yield from left_out(value, known[key])
