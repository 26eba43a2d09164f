"""Clusters of plain machines and of Kubernetes, read by the programs that would read them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml
from containers import DOCKER
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

KUBERNETES = "1.33"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DOCKER / "kuberay" / name).read_text()))


def cluster(name: str) -> dict[str, Any]:
    """The RayCluster in a file: that of a RayJob is part of it."""
    (document,) = documents(name)
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    return {"metadata": {"name": "lejepa", "namespace": "default"}, "spec": spec}


def pods(name: str) -> list[dict[str, Any]]:
    spec = cluster(name)["spec"]
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def test_plain_machines_by_ray_s_schema() -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    config = yaml.safe_load((DOCKER / "ray-cluster.yaml").read_text())
    jsonschema.validate(config, schema)
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["available_node_types"]["local.cluster.node"]["max_workers"] == len(
        config["provider"]["worker_ips"]
    )


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
class TestKubeRay:
    def test_pods_by_kubernetes_schema(self, name: str) -> None:
        for template in pods(name):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)

    def test_ray_s_autoscaler_finds_its_node_types(self, name: str) -> None:
        config = _derive_autoscaling_config_from_ray_cr(cluster(name))
        validate_config(config)
        resources = {kind: node["resources"] for kind, node in config["available_node_types"].items()}
        assert resources["headgroup"]["CPU"] == 0
        assert resources["cpu"]["CPU"] == 4 and resources["gpu"]["GPU"] == 1
        assert config["max_workers"] == 12

    def test_autoscaling_and_a_token(self, name: str) -> None:
        spec = cluster(name)["spec"]
        assert spec["enableInTreeAutoscaling"] is True and spec["authOptions"] == {"mode": "token"}
        assert spec["rayVersion"] == ray.__version__

    def test_pods_meet_the_restricted_pod_security_standard(self, name: str) -> None:
        spec = cluster(name)["spec"]
        contexts = [spec["autoscalerOptions"]["securityContext"]]
        for template in pods(name):
            whole = template["spec"]["securityContext"]
            assert whole["runAsNonRoot"] and whole["runAsUser"] > 0
            assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
            contexts += [container["securityContext"] for container in template["spec"]["containers"]]
        for context in contexts:
            assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}

    def test_pods_have_limits_probes_and_the_shared_storage(self, name: str) -> None:
        for template in pods(name):
            (container,) = template["spec"]["containers"]
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
            assert "exec" in container["readinessProbe"] and "exec" in container["livenessProbe"]
            claims = [volume.get("persistentVolumeClaim") for volume in template["spec"]["volumes"]]
            assert {"claimName": documents("storage.yaml")[0]["metadata"]["name"]} in claims


def test_a_job_cleans_up_and_is_tried_again() -> None:
    spec = documents("rayjob.yaml")[0]["spec"]
    assert spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] > 0
    assert spec["backoffLimit"] > 0 and spec["activeDeadlineSeconds"] > 0


def test_storage_by_kubernetes_schema() -> None:
    for document in documents("storage.yaml"):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
