"""The measured columns of the registry, in a table that `lejepa_core.architectures.measure` writes."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("measured.csv")
_COMMENT: Final = "#"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What building and running an architecture showed; see `ArchitectureSpec` for the fields."""

    parameters: int
    features: int
    sized: bool
    multi_size: bool
    min_size: int
    multiple: int
    batchnorm: bool
    ms_32: float | None
    ms_64: float | None


def read_measurements(table: Path = TABLE) -> dict[str, Measurement]:
    """The table, by name of the architecture."""
    with table.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith(_COMMENT))
        return {row["name"]: _parsed(row) for row in rows}


def write_measurements(
    measured: Mapping[str, Measurement], *, versions: Iterable[tuple[str, str]], table: Path = TABLE
) -> None:
    """Replace the table.

    Args:
        measured: By name.
        versions: (package, version) of what was measured; timm's is among them.
        table: Where.
    """
    with table.open("w", encoding="utf-8", newline="") as file:
        made_with = ", ".join(f"{name} {version}" for name, version in versions)
        file.write(f"{_COMMENT} {made_with}; ms: one core, batch 32\n")
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", *(f.name for f in fields(Measurement))])
        for name in sorted(measured):
            rows.writerow([name, *(_text(value) for value in asdict(measured[name]).values())])


def _text(value: float | bool | None) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _parsed(row: Mapping[str, str]) -> Measurement:
    return Measurement(
        parameters=int(row["parameters"]),
        features=int(row["features"]),
        sized=row["sized"] == "yes",
        multi_size=row["multi_size"] == "yes",
        min_size=int(row["min_size"]),
        multiple=int(row["multiple"]),
        batchnorm=row["batchnorm"] == "yes",
        ms_32=float(row["ms_32"]) if row["ms_32"] else None,
        ms_64=float(row["ms_64"]) if row["ms_64"] else None,
    )
