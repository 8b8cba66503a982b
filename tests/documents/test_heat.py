import struct
import zlib

import numpy as np

from synthmill.documents.heat import REAL, SYNTHETIC, heat_map, png


def decoded(data):
    """The pixels of an unfiltered RGBA PNG; every chunk's checksum must hold."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    return lines[:, 1:].reshape(height, width, 4)


def test_png_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4)).astype(np.uint8)
    assert (decoded(png(pixels)) == pixels).all()


def test_sign_is_the_colour_and_size_the_opacity():
    import base64
    import re

    figure = heat_map("t", [[1.0, -0.5], [0.0, 2.0]], ["a", "<b>"], SYNTHETIC)
    pixels = decoded(base64.b64decode(re.search(r"base64,([^\"]+)", figure)[1]))
    assert tuple(pixels[0, 0]) == (*SYNTHETIC, 255)
    assert tuple(pixels[0, 1]) == (*REAL, 128)
    assert pixels[1, 0, 3] == 0
    assert pixels[1, 1, 3] == 255
    assert "<b>" not in figure
