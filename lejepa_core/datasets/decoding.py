"""A file's bytes to RGB pixels, whatever a person's camera, scanner or browser made of them."""

import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

# A closed list: Pillow knows formats that start other programs (EPS).
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
# EXIF 2.32, tag 0x0112: what undoes each orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Undecodable(Exception):
    """A file is not an image that can be read; the message is a short reason."""


def decode(data: bytes, *, short_side: int | None = None, long_side: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Decode one image, upright, in RGB, and shrink it to the given limits.

    The EXIF rotation is applied, alpha is laid over white, 16-bit grey is scaled to 8 bits, and only the
    first frame counts. Warnings of the decoder are dropped: call `quiet` around many calls in threads.

    Args:
        data: Contents of the file.
        short_side: Largest height or width, whichever is smaller, in pixels.
        long_side: Largest height or width, whichever is larger, in pixels.

    Returns:
        Pixels, never larger than in the file.

    Raises:
        Undecodable: Truncated, not an image, of an unknown kind, or too large to be true.
    """
    with _reasons(empty=not data), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        target = _target(image.size, short_side, long_side)
        # JPEGs can be decoded at 1/2, 1/4, 1/8; twice the target leaves the quality to `resize`.
        image.draft(None, (2 * target[0], 2 * target[1]))
        image.load()
        return np.asarray(_shrink(_upright(_rgb(image), image), max(target), min(target)))


def decoded_bytes(file: BinaryIO, *, short_side: int | None = None, long_side: int | None = None) -> int:
    """Read an image's header, and say what `decode` would give.

    Args:
        file: The file, open.
        short_side: As in `decode`.
        long_side: As in `decode`.

    Returns:
        Size of the pixels in bytes.

    Raises:
        Undecodable: Not an image, of an unknown kind, or too large to be true. A file that is damaged behind its
            header passes.
    """
    empty = not file.seek(0, io.SEEK_END)
    file.seek(0)
    with _reasons(empty=empty), Image.open(file, formats=_FORMATS) as image:
        width, height = _target(image.size, short_side, long_side)
        return 3 * width * height


def quiet() -> AbstractContextManager[None]:
    """Drop warnings while it is entered: what matters about a file is in `Undecodable`.

    Returns:
        A context manager; it acts on all threads, so enter it in one thread only.
    """
    return warnings.catch_warnings(action="ignore")


@contextmanager
def _reasons(*, empty: bool) -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise Undecodable("empty file" if empty else "not an image") from None
    except Image.DecompressionBombError as error:
        raise Undecodable(f"too large: {error}") from None
    except Exception as error:  # decoders raise whatever a broken file makes them trip over
        reason = " ".join(str(error).split())
        kind = "truncated" if "truncated" in reason else type(error).__name__
        raise Undecodable(f"{kind}: {reason}") from None


def _target(size: tuple[int, int], short: int | None, long: int | None) -> tuple[int, int]:
    scale = min(1.0, (short or min(size)) / min(size), (long or max(size)) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("pixels are floating point; wanted 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("pixels are 32-bit; wanted 8 or 16 bits")
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _upright(rgb: Image.Image, original: Image.Image) -> Image.Image:
    # A broken EXIF block says nothing about the pixels.
    with suppress(Exception):
        turn = _TURNS.get(original.getexif().get(ExifTags.Base.Orientation, 1))
        return rgb if turn is None else rgb.transpose(turn)
    return rgb


def _shrink(image: Image.Image, long: int, short: int) -> Image.Image:
    size = (long, short) if image.width >= image.height else (short, long)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
