"""Files as cameras, scanners and browsers make them, against pixels that are known beforehand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lejepa_core.datasets.decoding import Undecodable, decode


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_every_value(kind: str) -> None:
    pixels = noise(5, 7)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), kind)), pixels)


def test_lossless_webp_keeps_every_value() -> None:
    pixels = noise(5, 7)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "WEBP", lossless=True)), pixels)


def test_grey_becomes_three_equal_channels() -> None:
    grey = noise(4, 6, 1)[..., 0]
    assert np.array_equal(decode(encoded(Image.fromarray(grey))), np.stack([grey] * 3, axis=2))


def test_16_bit_grey_keeps_its_upper_byte() -> None:
    wide = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert decode(encoded(Image.fromarray(wide)))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_palette_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_alpha_is_laid_over_white() -> None:
    rgba = np.array([[[100, 0, 200, 255], [100, 0, 200, 0], [100, 0, 200, 51]]], dtype=np.uint8)
    opaque, clear, fifth = decode(encoded(Image.fromarray(rgba)))[0].tolist()
    assert opaque == [100, 0, 200]
    assert clear == [255, 255, 255]
    assert fifth == [round(0.2 * c + 0.8 * 255) for c in (100, 0, 200)]


def test_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    assert decode(encoded(image, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk_jpeg_is_rgb() -> None:
    cyan = decode(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95))
    assert np.abs(cyan.reshape(-1, 3).mean(axis=0) - [0, 255, 255]).max() < 3


def test_first_frame_of_a_gif() -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


# EXIF 2.32, figure of tag 0x0112: which stored row and column the upright top left corner comes from.
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_rotation_is_applied(orientation: int, upright) -> None:
    pixels = noise(4, 6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), exif=exif)), upright(pixels))


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (64, 128, (32, 64, 3)),  # the short side decides
        (64, 640, (26, 256, 3)),  # so long that the long side decides
        (640, 64, (256, 26, 3)),
        (24, 30, (24, 30, 3)),  # never enlarged
        (1, 2000, (1, 256, 3)),
        (333, 500, (32, 48, 3)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_sides_are_limited_and_never_enlarged(height: int, width: int, wanted: tuple[int, int, int], kind: str) -> None:
    data = encoded(Image.fromarray(noise(height, width)), kind)
    assert decode(data, short_side=32, long_side=256).shape == wanted


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = decode(encoded(Image.fromarray(stripes)), short_side=16, long_side=64)
    assert np.abs(small[:, 2:-2].astype(float) - 127.5).max() < 16


def test_truncated_jpeg_says_so() -> None:
    data = encoded(Image.fromarray(noise(64, 64)), "JPEG")
    with pytest.raises(Undecodable, match="truncated"):
        decode(data[: len(data) // 2])


def test_text_and_nothing_are_not_images() -> None:
    with pytest.raises(Undecodable, match="not an image"):
        decode(b"<html>")
    with pytest.raises(Undecodable, match="empty file"):
        decode(b"")


def test_decompression_bomb_is_refused_by_its_header() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(Undecodable, match=r"too large: .*900000000"):
        decode(bomb)


def test_floating_point_is_refused_rather_than_clipped() -> None:
    image = Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32))
    with pytest.raises(Undecodable, match="floating point"):
        decode(encoded(image, "TIFF"))
