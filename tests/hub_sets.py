"""Small sets laid out as on the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_trees_h import jpeg, noise
from datasets import ClassLabel, Dataset, Features, Image, Value

NAMES = ["ant", "bee", "cat"]
LABELLED = Features({"image": Image(), "label": ClassLabel(names=NAMES), "id": Value("int64")})


def rows(n: int, seed: int, labels: list[int] | None = None) -> dict[str, list[Any]]:
    return {
        "image": [{"bytes": jpeg(noise(1000 * seed + i)), "path": None} for i in range(n)],
        "label": labels or [i % 3 for i in range(n)],
        "id": list(range(n)),
    }


def publish(folder: Path, splits: Mapping[str, dict[str, list[Any]]], features: Features = LABELLED) -> str:
    """Parquet files, one per split, as on the Hub; gives the name of the set."""
    for split, columns in splits.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        part = Dataset.from_dict({name: columns[name] for name in features}, features=features)
        part.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return f"hf:{folder}"
