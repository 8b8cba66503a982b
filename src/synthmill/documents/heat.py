"""Heat maps as small PNG images: one pixel a cell, scaled up by the page. Zero is transparent, so light and dark both work."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .words import esc, number

REAL, SYNTHETIC = (31, 119, 200), (224, 122, 31)
_HOVER = 20
"""With more columns than this, a title per cell would weigh more than the picture."""


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An RGBA image (height, width, 4) as PNG (ISO/IEC 15948)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def heat_map(
    title: str,
    matrix: Sequence[Sequence[float]],
    names: Sequence[str],
    positive: tuple[int, int, int],
    full: float = 1.0,
) -> str:
    """A labelled figure. Negative cells are in the colour of real; `full` is the value of full colour."""
    values = np.array(matrix, np.float64)
    size = len(names)
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] >= 0, positive, REAL)
    pixels[..., 3] = np.round(255 * np.clip(np.abs(values) / full, 0, 1))
    data = base64.b64encode(png(pixels)).decode()
    cell, margin = (14, 96) if size > 12 else (20, 96)
    width = margin + cell * size
    labels = "".join(_labels(esc(n, 16), i, cell, margin) for i, n in enumerate(names))
    hover = _hovers(values, names, cell, margin) if size <= _HOVER else ""
    return (
        f'<figure class="heat"><figcaption>{title}</figcaption><svg viewBox="0 0 {width} {width}" role="img" aria-label="{title}">'
        f'<rect class="frame" x="{margin}" y="{margin}" width="{cell * size}" height="{cell * size}"/>'
        f'<image x="{margin}" y="{margin}" width="{cell * size}" height="{cell * size}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>{labels}{hover}</svg></figure>'
    )


def _labels(name: str, i: int, cell: int, margin: int) -> str:
    middle = margin + cell * i + cell / 2
    across = f'<text x="{margin - 5}" y="{middle}" text-anchor="end" dominant-baseline="central">{name}</text>'
    return across + f'<text transform="translate({middle} {margin - 5}) rotate(-90)" dominant-baseline="central">{name}</text>'  # fmt: skip


def _hovers(values: NDArray[np.float64], names: Sequence[str], cell: int, margin: int) -> str:
    size: Any = range(len(names))
    return "".join(
        f'<rect class="hover" x="{margin + cell * j}" y="{margin + cell * i}" width="{cell}" height="{cell}">'
        f"<title>{esc(names[i], 40)} × {esc(names[j], 40)}: {number(float(values[i, j]), 2)}</title></rect>"
        for i in size
        for j in size
        if i != j
    )
