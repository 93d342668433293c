"""Content codings and character sets are undone as well as that goes (RFC 9110 section 8)."""

import gzip
import tracemalloc
import zlib

import pytest

from keyrack.oauth.content import MAX_MEMBERS, decoded, text_of

CLEAR = b'{"a":1}'
ZIPPED = gzip.compress(CLEAR, mtime=0)  # the time would make a test's id differ between workers


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", CLEAR),
        ("identity", CLEAR),
        ("gzip", ZIPPED),
        (" GZIP ", ZIPPED),
        ("x-gzip", gzip.compress(CLEAR[:3], mtime=0) + gzip.compress(CLEAR[3:], mtime=0)),
        ("deflate", zlib.compress(CLEAR)),
        ("deflate", raw_deflate(CLEAR)),
        ("gzip, gzip", gzip.compress(ZIPPED, mtime=0)),
        ("gzip, identity", ZIPPED),
        ("gzip", ZIPPED + b"trailing"),
        ("gzip", ZIPPED + b"\0" * 100),
        ("", ZIPPED),
        ("UTF-8", ZIPPED),
        ("UTF-8", CLEAR),
        ("br", CLEAR),
        ("gzip", CLEAR),
        ("deflate", CLEAR),
        ("none, , \x00", CLEAR),
    ],
)
def test_codings_are_undone_and_wrong_labels_ignored(coding: str, body: bytes) -> None:
    assert decoded(body, coding) == (CLEAR, False)


@pytest.mark.parametrize("coding", ["", "gzip", "br", "deflate"])
def test_an_empty_body_needs_no_coding(coding: str) -> None:
    assert decoded(b"", coding, 10) == (b"", coding in {"gzip", "deflate"})


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_cut_is_unpacked_as_far_as_it_goes(coding: str) -> None:
    whole = gzip.compress(CLEAR * 50) if coding == "gzip" else zlib.compress(CLEAR * 50)
    text, cut = decoded(whole[:-4], coding)
    assert cut
    assert text.startswith(CLEAR)
    text, cut = decoded(gzip.compress(CLEAR) + gzip.compress(CLEAR)[:-4], coding)
    assert (text, cut) == (CLEAR + CLEAR, True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_decompression_bomb_is_never_unpacked(coding: str) -> None:
    zeros = bytes(64 * 1024 * 1024)
    bomb = gzip.compress(zeros) if coding == "gzip" else raw_deflate(zeros)
    del zeros
    tracemalloc.start()
    content, cut = decoded(bomb, coding, 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(content), cut) == (100_000, True)
    assert peak < 1_000_000


def test_the_bound_is_exact_and_spans_members() -> None:
    body = gzip.compress(b"12345") + gzip.compress(b"67890")
    assert decoded(body, "gzip", 10) == (b"1234567890", False)
    assert decoded(body, "gzip", 9) == (b"123456789", True)


def test_much_that_cannot_be_decoded_is_read_byte_by_byte() -> None:
    half = 32 * 1024
    assert text_of(b"x" * half + b"\xff" * half, {})[0] == "x" * half + "\ufffd" * half
    assert text_of(b"x" * half + b"\xff" * half + b"x", {})[0] == "x" * half + "\xff" * half + "x"


def test_what_follows_the_last_member_is_no_sign_of_a_cut() -> None:
    assert decoded(ZIPPED + b"\0" * 20_000, "gzip") == (CLEAR, False)
    assert decoded(ZIPPED + ZIPPED[:3], "gzip") == (CLEAR, True)


def test_members_are_bounded_in_number() -> None:
    member = gzip.compress(b"1")
    assert decoded(member * MAX_MEMBERS, "gzip") == (b"1" * MAX_MEMBERS, False)
    assert decoded(member * 45_000, "gzip") == (b"1" * MAX_MEMBERS, True)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"a":"ü"}'.encode()),
        ("application/json; charset=utf-8", '\ufeff{"a":"ü"}'.encode()),
        ("application/json; charset=ISO-8859-1", '{"a":"ü"}'.encode()),
        ('application/json; Charset = "ISO-8859-1"', '{"a":"ü"}'.encode("latin-1")),
        ("text/html;charset=windows-1252;x=y", '{"a":"ü"}'.encode("cp1252")),
        ("application/json", '{"a":"ü"}'.encode("utf-16")),
        ("application/json", '{"a":"ü"}'.encode("utf-16-le")),
        ("application/json", '{"a":"ü"}'.encode("utf-16-be")),
        ("application/json; charset=utf-8", '{"a":"ü"}'.encode("utf-32-be")),
        ("application/json", b"\0\0 \r\n" + '{"a":"ü"}'.encode() + b"\0" * 7),
    ],
)
def test_character_sets(content_type: str, body: bytes) -> None:
    assert text_of(body, {"content-type": content_type}) == ('{"a":"ü"}', False)


@pytest.mark.parametrize("charset", ["", "nonsense", "idna", "hex", "unicode_escape", "utf-8", "iso-8859-99"])
def test_what_is_in_no_known_character_set_is_read_as_well_as_it_goes(charset: str) -> None:
    text, _ = text_of(b'{"a":"\xfc","b":"x"}', {"content-type": f"application/json; charset={charset}"})
    assert text == '{"a":"\ufffd","b":"x"}'
