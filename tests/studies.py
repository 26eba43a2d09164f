"""Runs the command of the README in a process of its own, on a folder of small images."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON_PATH = os.pathsep.join(str(ROOT / folder) for folder in (".", "platform", "tests"))
SMALL = [
    "--architectures", "resnet10t_w32", "convnextv2_micro_p2", "--lambdas", "0.02", "0.2", "--seeds", "1",
    "--epochs", "6", "--batch-size", "16", "--image-size", "32", "--checkpoint-seconds", "0",
]  # fmt: skip


def start(
    storage: Path | str, images: Path, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    """Start a study of two architectures x two λ; later arguments override."""
    command = [sys.executable, str(ROOT / "sweeps" / "lambda_stability.py"), *SMALL, "--datasets", f"folder:{images}",
               "--storage", str(storage), "--study", "s", *arguments]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            cwd=images.parent if isinstance(storage, str) else storage.parent, start_new_session=True,
                            env={**os.environ, **environment, "PYTHONPATH": PYTHON_PATH})  # fmt: skip


def run(storage: Path, images: Path, *arguments: str) -> tuple[str, str]:
    """Run a study to its end; returns what it printed on standard output and on standard error."""
    with start(storage, images, *arguments) as process:
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err + out
    return out, err


def results(storage: Path) -> dict[str, dict[str, Any]]:
    """Trial key -> result.json."""
    return {path.parent.name: json.loads(path.read_text()) for path in storage.glob("s/trials/*/result.json")}


def wait_for(condition: Any, *, seconds: float = 120, process: subprocess.Popen[str]) -> None:
    """Wait until something holds; the process must live until then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
