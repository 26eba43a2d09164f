"""What a rerun needs to be bit for bit, besides the configuration: code, packages, machine, threads."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil
import torch

from lejepa_core.datasets import ImageDataset
from lejepa_core.distributed import world_size
from lejepa_core.encoder import Encoder
from lejepa_core.methods import LEJEPA
from lejepa_core.regularizers import build_regularizer
from lejepa_core.sigreg import SIGReg
from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.task import TrialTask

COMMIT_VARIABLE: Final = "LEJEPA_GIT_COMMIT"
"""Says which commit the code is of where it is no git checkout, as in an image."""
COMPUTING: Final = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "scipy", "safetensors", "pillow")
"""Packages that a result may depend on."""
PACKAGES: Final = (*COMPUTING, "lejepa-sweeps", "ray", "optuna", "mlflow")
_ROOT = Path(__file__).parents[2]


def environment(task: TrialTask, config: TrialConfig, encoder: Encoder, data: ImageDataset) -> Flat:
    """Everything besides the configuration that may change a result, and what the encoder expects of its images."""
    return {
        "versions": _versions() | ({} if config.objective == LEJEPA else {"lightly": version("lightly")}),
        "code": dict(code()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "hardware": dict(_hardware()),
        "device": str(next(encoder.parameters()).device),
        "kernels": _kernels(config, encoder),
        "weights_revision": config.weights_revision,
        "memory_format": str(encoder.memory_format),
        "threads": task.threads,
        "micro_batch": task.micro_batch,
        "gpus": task.gpus,
        "world_size": world_size(),
        "attempt": task.attempt,
        "streamed": data.streamed,
        "preprocessing": {"size": config.image_size, "mean": list(data.mean), "std": list(data.std)},
    }


@cache
def code(root: Path = _ROOT) -> Flat:
    """Which commit the code is of.

    Args:
        root: Of the checkout.

    Returns:
        `commit`, and `dirty` if it is known whether files differ from it; nothing if neither git nor
        LEJEPA_GIT_COMMIT tells.
    """
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        if commit is not None and changed is not None:
            return {"commit": commit, "dirty": bool(changed)}
    given = os.environ.get(COMMIT_VARIABLE, "")
    return {"commit": given} if given else {}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _versions() -> Flat:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Our own, where its code was shipped without being installed.
            continue
    return found


@cache
def _hardware() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _kernels(config: TrialConfig, encoder: Encoder) -> str:
    if config.objective != LEJEPA:
        return "eager"
    regulariser = build_regularizer(config)
    return regulariser.kernel_for(next(encoder.parameters())) if isinstance(regulariser, SIGReg) else "eager"
