"""cluster.yaml holds to Ray's own schema, which is all that can be said without a cloud."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def cluster():
    return yaml.safe_load(CLUSTER.read_text())


def test_ray_accepts_the_cluster(cluster):
    validate_config(prepare_config(copy.deepcopy(cluster)))


def test_ray_refuses_a_key_that_it_does_not_know(cluster):
    cluster["idle_timeout_minuts"] = 5
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(cluster))


def test_the_image_is_of_the_ray_that_is_installed(cluster):
    assert f":{ray.__version__}-" in cluster["docker"]["image"]


def test_the_head_runs_no_trials_and_workers_come_and_go(cluster):
    kinds = cluster["available_node_types"]
    assert kinds[cluster["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert kinds["gpu_worker"]["min_workers"] == 0


def test_ray_accepts_the_variant_on_machines_of_ones_own(cluster):
    _, variant = CLUSTER.read_text().split("# provider:")
    own = yaml.safe_load("provider:" + variant.replace("\n# ", "\n"))
    kept = {key: cluster[key] for key in ("cluster_name", "docker", "setup_commands")}
    validate_config(prepare_config(kept | own))


def test_the_rayjob_runs_the_search_on_the_ray_that_is_installed():
    job = yaml.safe_load((CLUSTER.parent / "docs/rayjob.yaml").read_text())
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    command = shlex.split(job["spec"]["entrypoint"])
    assert command[:4] == ["python", "-m", "tune_distill", "search"]
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/shared", "/study"}
