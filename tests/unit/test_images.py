"""Kinds and sizes of images are told by their first bytes, and nothing else passes for one."""

import pytest

from keyrack.validation.images import ImageFacts, image_facts
from support.images import jpeg, png, webp


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (png(300, 7), "image/png"),
        (jpeg(300, 7), "image/jpeg"),
        (webp(300, 7), "image/webp"),
        (webp(300, 7, b"VP8L"), "image/webp"),
        (webp(300, 7, b"VP8 "), "image/webp"),
    ],
)
def test_size_and_kind_are_read(content: bytes, media_type: str) -> None:
    assert image_facts(content) == ImageFacts(media_type, 300, 7)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a\x01\x00\x01\x00",
        b"<!doctype html><script>alert(1)</script>",
        png()[:20],
        png(0, 5),
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        jpeg()[:12],
        b"\xff\xd8\xff" + b"\xff" * 50,
        b"\xff\xd8\xff\xe0\x00\x00" + bytes(40),
        webp()[:24],
        b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(20),
        b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(20),
    ],
)
def test_nothing_else_is_an_image(content: bytes) -> None:
    assert image_facts(content) is None


def test_every_beginning_is_read_to_its_end_without_a_fault() -> None:
    for whole in (png(), jpeg(), webp(), webp(kind=b"VP8L"), webp(kind=b"VP8 ")):
        for end in range(len(whole)):
            assert image_facts(whole[:end]) in (None, image_facts(whole))
