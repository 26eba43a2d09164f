"""`lejepa submit`: on a real cluster of two nodes with a token, from a clean checkout."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_nodes import RayNodes, ray_nodes
from trackers import PYTHON_PATH, free_port

from lejepa_platform.errors import ClusterError
from lejepa_platform.submit import check_command, connect, job_name

ROOT = Path(__file__).parents[2]
STUDY = [
    "python", "sweeps/lambda_stability.py", "--architectures", "resnet10t_w32", "--datasets", "digits", "--lambdas",
    "0.02", "0.2", "--seeds", "1", "--epochs", "1", "--limit-train", "64", "--batch-size", "32", "--image-size", "16",
    "--study", "tiny",
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    """A head and a second node, which know nothing of this checkout."""
    with ray_nodes(["--num-cpus", "1"], ["--num-cpus", "1"], jobs=True, PYTHONPATH="") as nodes:
        yield nodes


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git knows of this one, and studies beside it that are nobody's business."""
    folder = tmp_path_factory.mktemp("clean") / "checkout"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "studies").mkdir()
    (folder / "studies" / "mine").write_text("mine")
    return folder


def submit(cluster: RayNodes, folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lejepa_platform.cli", "submit", "--address", cluster.jobs_address, *arguments],
        env={**cluster.environment, **PYTHON_PATH, **variables}, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_a_job_is_called_as_its_study() -> None:
    assert job_name(["python", "sweeps/x.py", "--study", "mine"]) == "mine"
    assert job_name(["python", "sweeps/x.py", "--study=mine"]) == "mine"


def test_a_job_without_a_name_has_the_same_one_again() -> None:
    names = [job_name(["python", "sweeps/x.py", "--seeds", seeds]) for seeds in ("1", "1", "2")]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("x-")


@pytest.mark.parametrize("storage", [[], ["--storage", "studies"], ["--storage=studies"]])
def test_a_study_that_would_go_with_its_job_is_refused(storage: list[str]) -> None:
    with pytest.raises(ClusterError, match="say a folder that all nodes see: --storage /shared/studies"):
        check_command(["python", "sweeps/lambda_stability.py", *storage], ROOT)
    with pytest.raises(ClusterError, match="say a folder that all nodes see: --storage /shared/studies"):
        check_command(["lejepa", "paper", "run", "table7", "--scale", "cluster", *storage], ROOT)


def test_a_script_that_is_not_sent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"a file below .* was wanted"):
        check_command(["python", "sweeps/lambda_stability.py", "--storage", "/shared"], tmp_path)


def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at .*; say where with --address"):
        connect(f"http://127.0.0.1:{free_port()}")


@pytest.mark.slow
def test_without_the_token_one_line_says_where_it_is_looked_for(
    cluster: RayNodes, checkout: Path, tmp_path: Path
) -> None:
    done = submit(cluster, checkout, "--wait", "--", "python", "-c", "1", HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "wants a token and none was found (401)" in done.stderr
    assert "~/.ray/auth_token" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_from_a_clean_checkout_runs_to_its_end(cluster: RayNodes, checkout: Path, tmp_path: Path) -> None:
    done = submit(cluster, checkout, "--wait", "--", *STUDY, "--storage", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.glob("tiny/trials/*/result.json")]
    assert [result["outcome"] for result in results] == ["ok", "ok"]
    assert (tmp_path / "tiny" / "report.html").is_file()


@pytest.mark.slow
def test_a_job_ends_as_its_command_and_has_the_folder_without_studies(cluster: RayNodes, checkout: Path) -> None:
    code = "import os, sys; print(sorted(os.listdir('.'))); sys.exit(3)"
    done = submit(cluster, checkout, "--wait", "--study", "listing", "--", "python", "-c", code)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "'sweeps'" in done.stdout
    assert "'studies'" not in done.stdout


@pytest.mark.slow
def test_a_job_that_ended_is_submitted_again_and_one_that_runs_is_not(
    cluster: RayNodes, checkout: Path, tmp_path: Path
) -> None:
    path = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.2)\nprint('went')"
    named = ["--study", "again", "--", "python", "-c", code]
    assert "submitted as again;" in submit(cluster, checkout, *named).stdout
    refused = submit(cluster, checkout, *named)
    assert refused.returncode == 2
    assert "job again runs already" in refused.stderr
    path.touch()
    assert "went" in submit(cluster, checkout, "--wait", *named).stdout
    assert "submitted as again.attempt" in submit(cluster, checkout, *named).stdout
