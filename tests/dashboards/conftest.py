import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

WriteStudy = Callable[..., Path]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chromium: needs Debian's chromium, which .ci/run installs")


def trial(
    architecture: str = "resnet10t",
    dataset: str = "digits",
    lam: float = 0.05,
    seed: int = 0,
    *,
    val: float | None = None,
    test: float | None = None,
    loss: float | None = 1.0,
    outcome: str | None = "ok",
    reason: str = "",
    floor: float | None = 0.4,
    chance: float | None = 0.1,
    seconds: float = 10.0,
    config: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One trial as the ledger's files hold it; outcome None = not finished."""
    flat = {
        "architecture": architecture, "family": architecture[:3], "dataset": dataset, "lambda": lam,
        "seed": seed, "learning_rate": 1e-3, "weight_decay": 0.05, "epochs": 10, "batch_size": 64,
        **(config or {}),
    }  # fmt: skip
    measured = {
        "val/linear_top1": val, "test/linear_top1": test, "train/loss": loss, "floor/chance": chance,
        "floor/random_init_linear_top1": floor, **(metrics or {}),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:16]
    return {
        "key": key, "config": flat, "outcome": outcome, "reason": reason, "metrics": measured,
        "seconds": seconds,
    }  # fmt: skip


def write(folder: Path, trials: Iterable[Mapping[str, Any]], **study: Any) -> Path:
    """A study folder in the layout that is the public contract."""
    rows = list(trials)
    config = {"preset": "test", "search": "grid", "epochs": 10, **study.pop("config", {})}
    about = {"name": "a study", "method_version": 1, "planned": [], "notes": [], **study, "config": config}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(about))
    for row in rows:
        path = folder / "trials" / row["key"]
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps({"key": row["key"], "config": row["config"]}))
        (path / "metrics.jsonl").write_text('{"epoch": 1, "train/loss": 2.0}\n{"epoch": 2, "train/loss": 1.0}\n')
        if row["outcome"] is not None:
            (path / "result.json").write_text(json.dumps(row))
    return folder


@pytest.fixture
def make_trial() -> Callable[..., dict[str, Any]]:
    return trial


@pytest.fixture
def write_study(tmp_path: Path) -> WriteStudy:
    return lambda trials, **study: write(tmp_path / "study", trials, **study)
