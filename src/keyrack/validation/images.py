"""Tells kinds of images by their first bytes, and how large they are, without decoding them.

PNG (ISO/IEC 15948), JPEG (ITU-T T.81, annex B) and WebP (RFC 9649) only: none of them can carry a script.
"""

from dataclasses import dataclass

_PNG, _JPEG, _RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a JPEG frame; the three left out are tables and extensions."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a length."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself: its media type, and its width and height in pixels."""

    media_type: str
    width: int
    height: int


def image_facts(content: bytes) -> ImageFacts | None:
    """Return what an image is, or None if it is none of the three kinds or its beginning is damaged."""
    if content.startswith(_PNG):
        kind, size = "image/png", _of_png(content)
    elif content.startswith(_JPEG):
        kind, size = "image/jpeg", _of_jpeg(content)
    elif content.startswith(_RIFF) and content[8:12] == b"WEBP":
        kind, size = "image/webp", _of_webp(content)
    else:
        return None
    return None if size is None or 0 in size else ImageFacts(kind, *size)


def _of_png(content: bytes) -> tuple[int, int] | None:
    if content[12:16] != b"IHDR" or len(content) < 33:  # noqa: PLR2004 - signature, header, checksum
        return None
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def _of_jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:  # noqa: PLR2004 - each marker begins with it
        marker = content[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            return int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7])
        else:
            at += 2 + max(2, int.from_bytes(content[at + 2 : at + 4]))
    return None


def _of_webp(content: bytes) -> tuple[int, int] | None:
    kind, body = content[12:16], content[20:]
    if len(body) < 10:  # noqa: PLR2004 - the longest of the headers below
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == 0x2F:  # noqa: PLR2004 - its signature
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None
