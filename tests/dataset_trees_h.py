"""Files as ImageNet, Galaxy10, Fashion-MNIST and the Hub lay them out, small."""

import gzip
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lejepa_core.datasets.cache import cached
from lejepa_core.datasets.image_dataset import ImageDataset
from lejepa_core.datasets.reader import Reader
from lejepa_core.datasets.source import Source
from lejepa_core.errors import DataError

GREY, CYAN, TURNED = "grey", "cyan", "turned"
"""Names of the special images below."""


def noise(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def jpeg(image: Image.Image | np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def special(kind: str) -> bytes:
    """A grey JPEG of level 90, a CMYK one of pure cyan, and one 24 wide, 16 high, red on the left, that EXIF turns."""
    if kind == GREY:
        return jpeg(Image.new("L", (8, 8), 90))
    if kind == CYAN:
        return jpeg(Image.new("CMYK", (8, 8), (255, 0, 0, 0)))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((16, 24, 3), dtype=np.uint8)
    stored[:, :12, 0] = stored[:, 12:, 2] = 255
    return jpeg(stored, exif=exif)


def assert_special(kind: str, pixels: np.ndarray) -> None:
    """Compare what was read of a special image with what a person sees."""
    if kind == GREY:
        assert np.abs(pixels.astype(int) - 90).max() <= 2
    elif kind == CYAN:
        assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - [0, 255, 255]).max() < 3
    else:
        assert pixels.shape == (24, 16, 3)
        assert pixels[:8].reshape(-1, 3).mean(axis=0) == pytest.approx([254, 0, 0], abs=4)
        assert pixels[-8:].reshape(-1, 3).mean(axis=0) == pytest.approx([0, 0, 254], abs=4)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def imagenet(folder: Path, wnids: Iterable[str], *, train: int, val: int, side: int = 8) -> Path:
    """train/WNID/WNID_i.JPEG and val/WNID/ILSVRC2012_val_*.JPEG; images are numbered across classes, as they were."""
    wnids = list(wnids)
    for k, wnid in enumerate(wnids):
        for i in range(train):
            write(folder / "train" / wnid / f"{wnid}_{i}.JPEG", jpeg(noise(100 * k + i, side, side)))
        for i in range(val):
            number = i * len(wnids) + (7 * k) % len(wnids) + 1
            name = f"ILSVRC2012_val_{number:08}.JPEG"
            write(folder / "val" / wnid / name, jpeg(noise(100 * k + 50 + i, side, side)))
    return folder


def idx(array: np.ndarray) -> bytes:
    """The IDX format of bytes, as yann.lecun.com described it."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def fashion_mnist(folder: Path, *, zipped: bool, per_class: int = 10) -> dict[str, str]:
    """Write four files, and give the SHA-256 of their contents."""
    checksums = {}
    for seed, part in enumerate(("train", "t10k")):
        labels = np.arange(10 * per_class) % 10
        images = np.random.default_rng(seed).integers(0, 256, (len(labels), 28, 28))
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            data = idx(array)
            checksums[name] = hashlib.sha256(data).hexdigest()
            write(folder / (f"{name}.gz" if zipped else name), gzip.compress(data) if zipped else data)
    return checksums


def opened(source: Source, tmp_path: Path) -> ImageDataset:
    return cached(source, tmp_path / "cache")


def pixels(data: ImageDataset, index: int) -> np.ndarray:
    return data.batch(np.array([index]))[0][0].permute(1, 2, 0).numpy()


def sizes(data: ImageDataset) -> dict[str, int]:
    return {split: len(indices) for split, indices in data.splits.items()}


def refused(reader: Reader, root: Path, tmp_path: Path) -> str:
    """Checking and loading refuse, in the same words, in one line."""
    with pytest.raises(DataError) as checking:
        reader.check(root)
    with pytest.raises(DataError) as loading:
        opened(reader.source(root, 32), tmp_path)
    assert str(checking.value) == str(loading.value)
    assert "\n" not in str(checking.value)
    return str(checking.value)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP; gives the address, with a slash at its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
