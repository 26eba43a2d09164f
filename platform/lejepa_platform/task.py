"""A trial on its way to the process that runs it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lejepa_core.settings import Stream
from lejepa_platform.config import Flat, TrialConfig
from lejepa_platform.ledger import TrialLedger, Wanted
from lejepa_platform.rungs import Scheduler, SchedulerMetric
from lejepa_platform.storage import Location, location, node_cache


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """A trial and all that one run of it needs to know; travels as JSON."""

    config: Flat
    """`TrialConfig.flat()`."""
    study: str
    """The study's folder, or its address in a store."""
    attempt: int
    """From `TrialLedger.begin`."""
    source: str
    """Where the images are: a data set's name, or folder:PATH or hf:PATH with an absolute path."""
    cache: str
    """Folder of decoded data sets; empty = that of the node."""
    data_root: str | None = None
    """Folder of downloaded data sets."""
    labelled: bool = True
    """Whether to look for classes, and to probe."""
    streams: Mapping[str, Stream] = field(default_factory=dict)
    """Data set name, of those in `evaluate_on` as well -> whether its images are decoded each time they are wanted."""
    data_workers: int = 2
    """Processes that decode a streamed data set, for each process of the trial."""
    threads: int = 1
    """Threads of this process; part of what makes a rerun bit for bit."""
    gpus: float = 0.0
    """GPUs of this process; 0 = the CPU, whatever else there is."""
    micro_batch: int | None = None
    """Images that the backbone of this process sees at a time; None = its whole share of the batch. See `pretrain`."""
    checkpoint_seconds: float = 5.0
    """Least time between checkpoints."""
    variant: str = ""
    """Name of the variant of the study that the trial belongs to; no result depends on it."""
    scheduler: Scheduler = "none"
    """What stops trials that fall behind others of their cell and variant."""
    scheduler_metric: SchedulerMetric = "label_free"
    """What it compares them by."""
    stop_collapsed: bool = False
    """Whether the trial ends early once it has collapsed for good."""
    evaluate_on: Mapping[str, str] = field(default_factory=dict)
    """Other data sets that the encoder is evaluated on afterwards: name -> fingerprint."""
    target_sources: Mapping[str, str] = field(default_factory=dict)
    """Where the images of these are, as in `source`."""
    protocols: Mapping[str, int] = field(default_factory=dict)
    """What the encoder is measured by afterwards: name -> version."""

    @property
    def ledger(self) -> TrialLedger:
        """The trial's folder, for writing as this attempt."""
        key = TrialConfig.from_flat(self.config).key
        return TrialLedger(location(self.study) / "trials" / key, self.attempt)

    @property
    def log(self) -> Path:
        """What the inline executor's process prints: in the trial's folder, or until it ended on the node."""
        folder = self.ledger.path
        if isinstance(folder, Path):
            return folder / "log.txt"
        return node_cache() / "logs" / f"{folder.parent.parent.name}-{folder.name}-{self.attempt}.txt"

    def floor(self, name: str) -> Location:
        """A file of what the study's trials share."""
        return location(self.study) / "floors" / name

    @property
    def done(self) -> bool:
        """Whether the ledger holds all that this task is for."""
        return self.ledger.complete(self.wanted)

    @property
    def wanted(self) -> Wanted:
        """What is to be measured of the encoder."""
        return Wanted(protocols=self.protocols, evaluate_on=self.evaluate_on)

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Back from `to_json()`."""
        return cls(**json.loads(text))
