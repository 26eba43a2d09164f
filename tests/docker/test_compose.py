"""The compose file: read by Docker's own reader, and what it promises of every service."""

import os
import re
import subprocess
from typing import Any

import pytest
import yaml
from containers import DOCKER

OURS = {"mlflow", "ray-head", "ray-worker", "study"}


def compose(*files: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `docker-compose config` says; it checks against the schema and fills in variables."""
    named = [part for file in files for part in ("--file", str(DOCKER / file))]
    variables = {"PATH": os.environ["PATH"], **variables}
    command = ["docker-compose", *named, "--project-directory", str(DOCKER), "config"]
    return subprocess.run(command, env=variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    done = compose("compose.yaml", LEJEPA_UID="10001", LEJEPA_GID="10001")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = yaml.safe_load(done.stdout)["services"]
    return found


def test_every_service_is_there(services: dict[str, Any]) -> None:
    assert set(services) == OURS | {"postgres", "prometheus", "grafana"}


def test_gpus_are_an_addition() -> None:
    done = compose("compose.yaml", "compose.cuda.yaml", LEJEPA_UID="10001", LEJEPA_GID="10001")
    assert done.returncode == 0, done.stderr
    devices = yaml.safe_load(done.stdout)["services"]["ray-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]


def test_without_secrets_nothing_starts() -> None:
    done = compose("compose.yaml")
    assert done.returncode != 0 and "run docker/make-secrets.sh first" in done.stderr


def test_nobody_is_root_or_can_become_it(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.match(r"[1-9]\d*:", service["user"]), name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True and not service.get("privileged"), name


def test_ports_are_for_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 3 and all(str(port).startswith("127.0.0.1:") for port in ports)


def test_the_database_meets_mlflow_and_nobody_else(services: dict[str, Any]) -> None:
    assert list(services["postgres"]["networks"]) == ["database"]
    assert {name for name, service in services.items() if "database" in service["networks"]} == {"postgres", "mlflow"}


def test_ray_has_one_address_and_prometheus_reaches_it(services: dict[str, Any]) -> None:
    for name in ("ray-head", "ray-worker"):
        assert list(services[name]["networks"]) == ["cluster"]
    assert "cluster" in services["prometheus"]["networks"]


def test_images_are_pinned(services: dict[str, Any]) -> None:
    assert all(re.search(r":v?\d+\.\d+[\w.-]*$", service["image"]) for service in services.values())


def test_secrets_are_files(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD|TOKEN|SECRET", name) or str(value).startswith("/run/secrets/")


def test_trials_do_not_hold_the_tracker_s_password(services: dict[str, Any]) -> None:
    assert [secret["source"] for secret in services["ray-worker"]["secrets"]] == ["ray_token"]


def test_everything_has_limits_and_a_health_check_and_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert name == "study" or service["healthcheck"]["test"][0] == "CMD", name
        assert all(wait["condition"] == "service_healthy" for wait in service.get("depends_on", {}).values()), name
    assert services["ray-head"]["shm_size"] and services["ray-worker"]["shm_size"]
