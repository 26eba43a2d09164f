"""`lejepa evaluate`: measure the encoders that a study has, and train none."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro

from lejepa_platform.entry import default_address
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate:
    """Measure what is lacking of a study's encoders, without training anything."""

    study: tyro.conf.Positional[str]
    """Name under the storage, or path."""
    protocols: tuple[str, ...] = ()
    """What to measure besides what was asked for before; criteria always is."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    data_root: Path | None = None
    """Folder of downloaded data sets."""
    threads: int = 1
    """CPU threads per trial."""
    gpus: float | None = None
    """GPUs per trial; a fraction puts several on one. By default 1 if there are any, otherwise none."""
    max_concurrent: int | None = None
    """Trials at once; by default as many as fit."""
    address: str | None = field(default_factory=default_address)
    """Ray cluster: auto, or HOST:PORT of its head; by default LEJEPA_ADDRESS, or this machine."""
    tracking_uri: str | None = None
    """MLflow tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db beside the study."""

    def run(self) -> int:
        """Measure, and say how much of it is there now."""
        # Here, not at the top: the other commands start without Ray and torch.
        from lejepa_platform.config import union
        from lejepa_platform.execution import Execution
        from lejepa_platform.protocols import check_protocols, wanted_of
        from lejepa_platform.study import run_study, stored_config
        from lejepa_platform.tracking import tracking_uri

        ledger = StudyLedger.find(self.study, self.storage)
        stored = stored_config(ledger)
        check_protocols(self.protocols, labelled=stored.labelled)
        config = replace(stored, protocols=union(stored.protocols, self.protocols))
        document, storage = ledger.read(), ledger.path.parent
        execution = Execution(
            storage=storage,
            sources=document["sources"],
            tracking_uri=tracking_uri(self.tracking_uri, storage),
            data_root=self.data_root,
            streams=document.get("streams", {}),
            threads=self.threads,
            gpus=self.gpus,
            max_concurrent=self.max_concurrent,
            address=self.address,
        )
        run_study(config, execution, notes=document["notes"], train=False)
        for name in wanted_of(config).protocols:
            print(f"{name}: {_told(ledger, name)}")
        print(f"lejepa report {ledger.name} --storage {storage} shows it")
        return 0


def _told(ledger: StudyLedger, name: str) -> str:
    held = [entry for trial in ledger.trials() if (entry := trial.measured().get(name))]
    failed = [entry["reason"] for entry in held if entry["outcome"] != "ok"]
    told = f"{len(held) - len(failed)} encoders measured"
    return f"{told}, {len(failed)} failed ({failed[0]})" if failed else told
