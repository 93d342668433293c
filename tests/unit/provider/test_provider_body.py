import gzip
import tracemalloc
import zlib
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.errors import ValidationFailed
from keyrack.provider.body import decode_body, encode_form
from keyrack.provider.faults import AnswerMalformedError, AnswerTooLargeError
from support.provider_servers import token_request

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_a_form_comes_back_as_it_was_and_cannot_leave_its_line(form: list[tuple[str, str]]) -> None:
    encoded = encode_form(token_request("https://idp.example/", *form))
    assert parse_qsl(encoded.decode(), keep_blank_values=True, strict_parsing=True) == form
    assert encoded.isascii()
    assert not set(encoded) & set(b"\r\n\0 \t")


def test_a_form_that_is_no_text_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationFailed) as refused:
        encode_form(token_request("https://idp.example/", ("refresh_token", "canary\ud800")))
    assert "canary" not in str(refused.value)
    assert refused.value.__context__ is None


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", b'{"a":1}'),
        ("identity", b'{"a":1}'),
        ("gzip", gzip.compress(b'{"a":1}', mtime=0)),  # the time would make the test's id differ between workers
        (" GZIP ", gzip.compress(b'{"a":1}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"a"', mtime=0) + gzip.compress(b":1}", mtime=0)),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", raw_deflate(b'{"a":1}')),
    ],
)
def test_known_codings_are_undone(coding: str, body: bytes) -> None:
    assert decode_body(body, coding, 7) == b'{"a":1}'


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate"])
def test_an_empty_body_needs_no_coding(coding: str) -> None:
    assert decode_body(b"", coding, 10) == b""


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"abc"),
        ("zstd", b"abc"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}" * 50, mtime=0)[:-9]),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"trailing"),
        ("deflate", b"\xff\xff"),
    ],
)
def test_what_cannot_be_decoded_is_malformed(coding: str, body: bytes) -> None:
    with pytest.raises(AnswerMalformedError):
        decode_body(body, coding, 1000)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_decompression_bomb_is_never_unpacked(coding: str) -> None:
    zeros = bytes(64 * 1024 * 1024)
    bomb = gzip.compress(zeros) if coding == "gzip" else raw_deflate(zeros)
    del zeros
    tracemalloc.start()
    with pytest.raises(AnswerTooLargeError):
        decode_body(bomb, coding, 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_bound_is_exact_and_spans_members() -> None:
    body = gzip.compress(b"12345") + gzip.compress(b"67890")
    assert decode_body(body, "gzip", 10) == b"1234567890"
    with pytest.raises(AnswerTooLargeError):
        decode_body(body, "gzip", 9)
