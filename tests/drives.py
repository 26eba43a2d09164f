"""Drives a study whose trials are another function than training, in a process of its own."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray_nodes import RayNodes
from toys import STUDY
from trackers import PYTHON_PATH, make_store

from lejepa_platform.cli import guarded
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.study import run_study
from lejepa_platform.tracking import default_uri


def start(cluster: RayNodes, storage: Path, *, seeds: int, together: int, **settings: Any) -> subprocess.Popen[str]:
    """Start a study of `faults.together` on a cluster: one trial per seed; settings are those of an `Execution`."""
    storage.mkdir(exist_ok=True)
    make_store(storage)
    study = StudyLedger.at(storage, "s").path
    study.mkdir()
    (study / "together").write_text(str(together))
    asked = {"storage": str(storage), "seeds": seeds, "address": cluster.address, **settings}
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(asked)], env={**cluster.environment, **PYTHON_PATH}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def end(driver: subprocess.Popen[str], storage: Path, seconds: float = 280) -> list[int]:
    """Wait for its end; returns how many trials each of its trials saw at once."""
    said, _ = driver.communicate(timeout=seconds)
    assert driver.returncode == 0, said
    results = [trial.result() for trial in StudyLedger.at(storage, "s").trials()]
    return [int(result["metrics"].get("together", 0)) if result else 0 for result in results]


def drive(storage: str, seeds: int, **settings: Any) -> int:
    """Run the study here; returns 0."""
    first, data = STUDY.architectures[0], "digits"
    config = replace(
        STUDY, architectures=(first,), datasets=(data,), fingerprints={data: STUDY.fingerprints[data]}, lambdas=(0.05,),
        seeds=tuple(range(seeds)), optimisers={first: STUDY.optimisers[first]},
    )  # fmt: skip
    folder = Path(storage)
    execution = Execution(
        storage=folder, sources={data: data}, tracking_uri=default_uri(folder), trial_function="faults:together",
        **settings,
    )  # fmt: skip
    run_study(config, execution)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(lambda: drive(**json.loads(sys.argv[1]))))
