"""What MLflow should hold about a trial: a function of its ledger alone, so that a replay changes nothing.

A metric point is identified by (key, step, timestamp, value) in MLflow, so timestamps are made up from the
time of the trial's first start and the epoch: the same point sent again is the same point.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

from lejepa_core.methods import objective_form
from lejepa_platform.config import METHOD_VERSION, Flat
from lejepa_platform.errors import StudyError
from lejepa_platform.ledger import FAILURES, TrialLedger, transfer_prefix

LONGEST_TEXT: Final = 5000
"""MLflow refuses parameters of more than 6000 characters and tags of more than 8000."""
NOT_FINAL: Final = "not_final"
"""Tag of a trial's run: metrics of its epochs that its result lacks, as the loss of a trial that diverged."""
ENVIRONMENT: Final = "environment"
"""Tag of a trial's run: the contents of `environment.json`."""
VARIANT: Final = "variant"
"""Parameter and tag of a trial's run, tag of its cell's: the name of its variant; none in a study without variants."""
CONFIG: Final = "config"
"""Tag of a trial's run: the whole configuration; parameters leave out what is None or empty."""
_NOT_METRICS = {"epoch", "step", "seconds"}
_SHOWN = ("torch", "timm", "lejepa-sweeps")
"""Packages whose versions are tags; the others are in `environment`."""
_OF_TRANSFER = ("outcome", "reason", "draws")
"""What a tag holds about another data set; the accuracies are metrics."""


class Point(NamedTuple):
    """One value of one metric."""

    key: str
    value: float
    step: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """How much of a trial MLflow holds; a tag of its run, so that a later process can tell."""

    epochs: int
    rows: str
    """Digest of the metrics of these epochs."""
    result: str = ""
    """Digest of the result, empty while there is none."""
    later: str = ""
    """Digest of what was measured of the encoder afterwards, empty while there is nothing."""
    versions: str = ""
    """Of the protocols among that, such as `criteria.1,paper.2`."""

    def __str__(self) -> str:
        parts = [f"{self.epochs}-{self.rows}-{self.result}", self.later, self.versions]
        return "-".join(parts).rstrip("-") if self.later else parts[0]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Back from `str()`; None if it is no stamp."""
        epochs, _, digests = text.partition("-")
        rows, _, digests = digests.partition("-")
        result, _, digests = digests.partition("-")
        later, _, versions = digests.partition("-")
        return cls(int(epochs), rows, result, later, versions) if epochs.isdigit() else None

    def disowns(self, later: Self) -> bool:
        """Whether something that was measured before this stamp is measured otherwise, or no more, by a later one."""
        return not set(self.versions.split(",")) - {""} <= set(later.versions.split(","))


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A trial as MLflow should show it."""

    key: str
    config: Flat
    created: int
    """First start, in milliseconds since 1970."""
    rows: list[Flat]
    """The metrics of each epoch."""
    result: Flat | None
    later: Mapping[str, float | None] = field(default_factory=dict)
    """What was measured of the encoder afterwards, under public names."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of the protocols that found it."""
    transfer: Mapping[str, Flat] = field(default_factory=dict)
    """The contents of `transfer.json`."""
    environment: Flat = field(default_factory=dict)
    """The contents of `environment.json`; empty before the trial has built its encoder."""
    system: list[Flat] = field(default_factory=list)
    """What it took of its machine, sample by sample."""
    variant: str = ""
    """Of the study, that it belongs to; empty if the study has none."""

    @classmethod
    def read(cls, ledger: TrialLedger, variant_of: Callable[[Flat], str] = lambda config: "") -> Self | None:
        """A trial as its ledger has it now; None before its first start.

        Args:
            ledger: Of the trial.
            variant_of: From its settings to its variant.

        Raises:
            StudyError: If a file of the trial is damaged.
        """
        # The result first: with one, the history read after it is complete.
        result = ledger.result()
        document = ledger.config()
        if document is None:
            return None
        try:
            return cls(
                key=ledger.key,
                config=document["config"],
                created=int(document["created"]),
                rows=ledger.history(whole=result is not None),
                result=result,
                later=ledger.later_metrics() if result else {},
                versions=ledger.versions() if result else {},
                transfer=ledger.transfer() if result else {},
                environment=ledger.environment(),
                system=ledger.system(),
                variant=variant_of(document["config"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"trial {ledger.key} is damaged, remove its folder to run it again: {error}") from error

    @property
    def cell(self) -> tuple[str, str, str]:
        """(variant, architecture, data set)."""
        return self.variant, str(self.config["architecture"]), str(self.config["dataset"])

    @property
    def status(self) -> str:
        """MLflow's word for how the trial stands."""
        if self.result is None:
            return "RUNNING"
        outcome = self.result["outcome"]
        return "FAILED" if outcome in FAILURES else "KILLED" if outcome == "stopped" else "FINISHED"

    @property
    def ended(self) -> int:
        """First start plus cost, in milliseconds since 1970: the end, had it never been interrupted."""
        return self.created + round(1000 * float((self.result or {}).get("seconds") or 0.0))

    @property
    def stamp(self) -> Stamp:
        """How much there is to hold."""
        rows = self.rows_digest(len(self.rows))
        later = later_digest(self.later, self.transfer), versions_text(self.versions)
        return Stamp(len(self.rows), rows, result_digest(self.result), *later)

    def rows_digest(self, epochs: int) -> str:
        """Digest of the first epochs' metrics."""
        return _digest([_numbers(row) for row in self.rows[:epochs]])

    def name(self, *, optimiser: bool) -> str:
        """The run's name.

        Args:
            optimiser: Whether learning rate and weight decay are needed to tell trials apart.
        """
        name = f"λ={_text(self.config['lambda'])} seed={self.config['seed']}"
        if optimiser:
            name += f" lr={self.config['learning_rate']:g} wd={self.config['weight_decay']:g}"
        return name

    def params(self) -> dict[str, str]:
        """The configuration; numbers in plain decimal, lists as JSON, what is None or empty left out."""
        texts = {name: _text(value) for name, value in self.config.items() if value is not None}
        texts[VARIANT] = self.variant
        return {name: text for name, text in texts.items() if text}

    def cell_params(self, *, optimiser: bool) -> dict[str, str]:
        """Those of `params()` that every trial of the cell has; MLflow offers others first where it is compared.

        Args:
            optimiser: Whether the trials differ in learning rate or weight decay.
        """
        own = {"lambda", "seed"} | ({"learning_rate", "weight_decay"} if optimiser else set())
        return {name: text for name, text in self.params().items() if name not in own}

    def tags(self) -> dict[str, str]:
        """What to filter and group by."""
        tags = {"role": "trial", "trial_key": self.key, VARIANT: self.variant, **common_tags(self.config)}
        tags |= {name: _text(self.config.get(name, "")) for name in ("architecture", "dataset", "family", "seed")}
        tags |= {CONFIG: _text(self.config), **self._environment_tags()}
        if self.result is not None:
            tags |= {
                "outcome": self.result["outcome"],
                "failure_reason": str(self.result.get("reason") or ""),
                NOT_FINAL: ",".join(self._not_final()),
                **self._transfer_tags(),
            }
        return {name: text for name, text in tags.items() if text}

    def _environment_tags(self) -> dict[str, str]:
        """All of it as JSON, and by themselves what people look for and filter by."""
        held = self.environment
        if not held:
            return {}
        code, hardware = held.get("code", {}), held.get("hardware", {})
        return {
            ENVIRONMENT: _text(held),
            # MLflow's own name, which its pages show as the source version.
            "mlflow.source.git.commit": code.get("commit", ""),
            "git_dirty": str(code["dirty"]).lower() if "dirty" in code else "",
            "processor": str(hardware.get("processor", "")),
            "gpus": ", ".join(hardware.get("gpus", [])),
            **{f"version.{name}": str(text) for name, text in held.get("versions", {}).items() if name in _SHOWN},
        }

    def _not_final(self) -> list[str]:
        final = _numbers(self.result["metrics"]) if self.result else {}
        return sorted({name for row in self.rows for name in _numbers(row)} - final.keys())

    def _transfer_tags(self) -> dict[str, str]:
        held = {name: {"dataset": name, **{k: entry[k] for k in _OF_TRANSFER}} for name, entry in self.transfer.items()}
        return {transfer_prefix(name).removesuffix("/"): _text(value) for name, value in held.items()}

    def points(self, held: Stamp | None) -> list[Point]:
        """Every metric point that is not held yet."""
        points = self._settings_points() if held is None else []
        skip = held.epochs if held is not None else 0
        for row in self.rows[skip:]:
            points += self._points(_numbers(row), int(row["epoch"]))
        if self.result is not None:
            last = self.rows[-1] if self.rows else {}
            metrics = {**self.result["metrics"], **self.later, "cost/seconds": self.result.get("seconds")}
            # The last epoch's metrics are among the result's, and are sent as that epoch's.
            final = {key: value for key, value in _numbers(metrics).items() if key not in _numbers(last)}
            points += self._points(final, int(last.get("epoch", 0)))
        return points

    def system_points(self, held: int) -> list[Point]:
        """Every sample of the machine but the first so many."""
        return [
            Point(name, float(value), int(row["sample"]), int(row["time"]))
            for row in self.system[held:]
            for name, value in row.items()
            if name.startswith("system/")
        ]

    def _settings_points(self) -> list[Point]:
        # MLflow sorts and compares parameters as texts; as metrics they are numbers.
        lambda_ = float(self.config["lambda"])
        settings = {"hp/lambda": lambda_, "hp/learning_rate": float(self.config["learning_rate"])}
        if lambda_ > 0:
            settings["hp/log10_lambda"] = math.log10(lambda_)
        return self._points(settings, 0)

    def _points(self, metrics: Mapping[str, float], epoch: int) -> list[Point]:
        return [Point(key, value, epoch, self.created + epoch) for key, value in metrics.items()]


def common_tags(config: Mapping[str, Any]) -> dict[str, str]:
    """What every run says about the method.

    Args:
        config: Of the trial or of the study, flat; what it leaves out is at its default.
    """
    return {"objective_form": objective_form(config), "method_version": str(METHOD_VERSION)}


def result_digest(result: Flat | None) -> str:
    """Digest of a result, empty if there is none."""
    return "" if result is None else _digest(result)


def later_digest(metrics: Mapping[str, float | None], transfer: Mapping[str, Flat]) -> str:
    """Digest of what was measured of an encoder afterwards, empty if there is nothing."""
    return _digest({"metrics": dict(metrics), "transfer": dict(transfer)}) if metrics or transfer else ""


def versions_text(versions: Mapping[str, int]) -> str:
    """Names and versions of protocols, as a stamp has them."""
    return ",".join(f"{name}.{version}" for name, version in sorted(versions.items()))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in row.items()
        if key not in _NOT_METRICS
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))[:LONGEST_TEXT]
    return str(value)[:LONGEST_TEXT]
