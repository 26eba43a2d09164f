"""The `platform/` folder must never become a package: it would shadow Python's own `platform`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_platform_folder_never_shadows_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    code = "import platform; print(platform.system())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_all_top_level_folders_are_known() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line}
    assert folders <= {"lejepa_core", "platform", "sweeps", "dashboards", "tests", "docker", ".ci"}
