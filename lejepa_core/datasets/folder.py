"""A person's own images: PATH/{train,val,test}/<class>/*, PATH/<class>/*, or just images."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lejepa_core.datasets.splits import SPLITS, Split, carve
from lejepa_core.datasets.store import Decoded, Pixels
from lejepa_core.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
SHORT_SIDE, LONG_SIDE = 2, 8
"""Most pixels that are kept of an image's sides, in training sizes."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    """Relative to the folder."""
    label: str
    split: Split | None


def check_folder(root: Path, *, labelled: bool) -> None:
    """Make sure that a folder is a data set, as far as names can tell.

    Raises:
        DataError: If it is missing, holds no image, or has fewer than two classes.
    """
    _files(root, labelled=labelled)


def folder_key(root: Path, *, labelled: bool) -> str:
    """Hash of the names, sizes and times of all images: an unchanged folder is not decoded again."""
    digest = hashlib.sha256(f"labelled={labelled}".encode())
    for file in _files(root, labelled=labelled):
        stat = file.path.stat()
        digest.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def read_folder(root: Path, *, image_size: int, labelled: bool) -> Decoded:
    """Decode a folder; files that are no readable image are skipped and named.

    Images are shrunk, never enlarged, until the short side is at most twice the training size and the long side
    at most eight times. Missing splits are carved out of the training images by a hash of each file.

    Raises:
        DataError: If nothing is left of the images, of a split, or of all classes but one.
    """
    files, images, digests, skipped = [], [], [], []
    for file in _files(root, labelled=labelled):
        try:
            data = file.path.read_bytes()
            images.append(_decode(file.path, image_size))
        except (
            OSError,
            SyntaxError,
            ValueError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
        ) as error:
            reason = (
                "not an image" if isinstance(error, UnidentifiedImageError) else str(error).splitlines()[0]
            )
            skipped.append(f"{file.name} ({reason})")
            continue
        files.append(file)
        digests.append(hashlib.sha256(data).hexdigest())
    if not files:
        raise DataError(f"none of the {len(skipped)} images in {root} can be read: {skipped[0]}")
    _check_classes(root, files, labelled=labelled)
    classes = sorted({file.label for file in files})
    labels = [classes.index(file.label) for file in files]
    return Decoded(
        name=folder_name(root),
        images=images,
        labels=labels if labelled else None,
        splits=_splits(files, digests, labels),
        classes=tuple(classes) if labelled else (),
        flip=True,
        skipped=tuple(skipped),
    )


def folder_name(root: Path) -> str:
    """What the data set calls itself: the folder's own name, wherever it lies."""
    return f"folder:{root.resolve().name}"


def _files(root: Path, *, labelled: bool) -> list[_File]:
    if not root.is_dir():
        raise DataError(f"folder {root} does not exist; give the path of a folder of images as folder:PATH")
    paths = sorted(
        p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file() and not _hidden(p, root)
    )
    if not paths:
        raise DataError(f"folder {root} holds no image ({' '.join(sorted(SUFFIXES))} were looked for)")
    tops = {path.relative_to(root).parts[0] for path in paths}
    has_splits = "train" in tops
    files = []
    for path in paths:
        parts = path.relative_to(root).parts
        split: Split | None = None
        if has_splits:
            if parts[0] not in SPLITS:
                continue
            split = parts[0]  # type: ignore[assignment]
            parts = parts[1:]
        if labelled and len(parts) < 2:
            continue
        files.append(_File(path, path.relative_to(root).as_posix(), parts[0] if labelled else "", split))
    _check_classes(root, files, labelled=labelled)
    return files


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _check_classes(root: Path, files: Sequence[_File], *, labelled: bool) -> None:
    classes = sorted({file.label for file in files})
    if labelled and len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no class folder"
        raise DataError(
            f"folder {root} has {found}; at least two, as {root.name}/<class>/*, were wanted: for images without "
            "classes say --unlabelled"
        )


def _splits(files: Sequence[_File], digests: Sequence[str], labels: Sequence[int]) -> list[Split]:
    given = {file.split for file in files}
    missing: list[Split] = [split for split in ("val", "test") if split not in given]
    own = [i for i, file in enumerate(files) if file.split in (None, "train")]
    carved = carve([digests[i] for i in own], [labels[i] for i in own], missing)
    splits: list[Split] = [file.split or "train" for file in files]
    for i, split in zip(own, carved, strict=True):
        splits[i] = split
    return splits


def _decode(path: Path, image_size: int) -> Pixels:
    with warnings.catch_warnings():
        # Odd metadata is no reason to tell a person anything; what cannot be read raises.
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            image = _rgb(ImageOps.exif_transpose(opened))
            scale = min(
                SHORT_SIDE * image_size / min(image.size), LONG_SIDE * image_size / max(image.size), 1.0
            )
            if scale < 1:
                width, height = (max(1, round(side * scale)) for side in image.size)
                image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
            return np.asarray(image)


def _rgb(image: Image.Image) -> Image.Image:
    """RGB, with whatever is transparent shown on white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, np.float64)
        span = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else 255.0
        image = Image.fromarray(np.clip(values / span * 255, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
