"""The Dockerfiles and scripts, linted, and what the images promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from containers import DOCKER
from studies import ROOT

BIN = Path(sys.executable).parent
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.cuda"]


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined, comments left out."""
    text = re.sub(r"(?m)^#.*\n", "", path.read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2]) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
class TestDockerfile:
    def test_lint(self, path: Path) -> None:
        done = subprocess.run([BIN / "hadolint", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def test_bases_are_pinned_to_a_patch_release(self, path: Path) -> None:
        bases = [what.split()[0] for name, what in instructions(path) if name == "FROM"]
        assert len(bases) == 2
        assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+-[\w-]+(@sha256:[0-9a-f]{64})?", base) for base in bases)

    def test_ends_as_a_user_with_a_fixed_number_and_a_health_check(self, path: Path) -> None:
        last = dict(instructions(path))
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
        assert "healthy.sh" in last["HEALTHCHECK"]

    def test_nothing_is_fetched_by_address_and_no_secret_is_baked_in(self, path: Path) -> None:
        names = [name for name, _ in instructions(path)]
        assert "ADD" not in names
        text = " ".join(what for name, what in instructions(path) if name in ("ENV", "ARG", "COPY"))
        assert not re.search(r"password|token|secret|https?:", text, re.IGNORECASE)

    def test_only_tested_versions_are_installed(self, path: Path) -> None:
        installs = [what for _, what in instructions(path) for what in re.findall(r"pip install[^&]*", what)]
        assert installs and all("--constraint constraints.txt" in what or "--no-deps" in what for what in installs)


def test_what_is_copied_into_images_is_listed() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert not {"!.git", "!studies", "!docker", "!docker/secrets", "!.venv"} & set(lines)
    assert all((ROOT / line[1:]).exists() for line in lines if line.startswith("!"))


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.sh")), ids=lambda path: path.name)
def test_scripts(path: Path) -> None:
    done = subprocess.run([BIN / "shellcheck", "--external-sources", path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "mlflow", "study", "healthy"])
def test_entrypoints_stop_at_the_first_failure_and_hand_over_their_process(name: str) -> None:
    text = (DOCKER / "entrypoints" / f"{name}.sh").read_text()
    assert "\nset -euo pipefail\n" in text and "\nexec " in text
