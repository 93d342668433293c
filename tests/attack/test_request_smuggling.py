"""Requests that two servers in a row would part differently: refused, and what hides in them gets no answer."""

import base64
import re
from collections.abc import Mapping

import pytest

from support.keyrack_processes import Served

HOST = b"Host: keyrack.test\r\n"
HIDDEN = b"GET /v2/users/me HTTP/1.1\r\nHost: keyrack.test\r\nX-Request-Id: hidden\r\n\r\n"
ANSWER = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


def post(*headers: bytes, body: bytes = b"", ending: bytes = b"\r\n", version: bytes = b"HTTP/1.1") -> bytes:
    lines = [b"POST /v2/flows " + version, b"Host: keyrack.test", b"Content-Type: application/json", *headers]
    return ending.join([*lines, b"", b""]) + body


LENGTH = b"Content-Length: %d" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked"
REFUSED: Mapping[str, bytes] = {
    "length and chunks": post(LENGTH, CHUNKED, body=b"0\r\n\r\n" + HIDDEN),
    "chunks and length": post(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"Content-Length: 0", LENGTH, body=HIDDEN),
    "two lengths, the other way": post(LENGTH, b"Content-Length: 0", body=HIDDEN),
    "a list of lengths": post(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN),
    "a signed length": post(b"Content-Length: +0", body=HIDDEN),
    "a negative length": post(b"Content-Length: -1", body=HIDDEN),
    "a hexadecimal length": post(b"Content-Length: 0x0", body=HIDDEN),
    "a length with a space in it": post(b"Content-Length: 0 0", body=HIDDEN),
    "a length beyond all numbers": post(b"Content-Length: 18446744073709551616", body=HIDDEN),
    "no length": post(b"Content-Length:", body=HIDDEN),
    "an unknown coding": post(b"Transfer-Encoding: xchunked", LENGTH, body=HIDDEN),
    "chunked not last": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + HIDDEN),
    "a space before the colon": post(b"Transfer-Encoding : chunked", b"Content-Length: 0", body=HIDDEN),
    "a folded header": post(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 0", body=HIDDEN),
    "a folded header with a tab": post(b"X-A: b\r\n\tContent-Length: 9", b"Content-Length: 0", body=HIDDEN),
    "a header that begins with a space": post(b" Content-Length: 0", body=HIDDEN),
    "a zero byte in a header": post(b"X-A: b\x00c", b"Content-Length: 0", body=HIDDEN),
    "a bare carriage return in a header": post(b"X-A: b\rContent-Length: 0", body=HIDDEN),
    "a name with a slash": post(b"X/A: b", b"Content-Length: 0", body=HIDDEN),
    "no name": post(b": chunked", b"Content-Length: 0", body=HIDDEN),
    "a line without a colon": post(b"chunked", b"Content-Length: 0", body=HIDDEN),
    "a chunk with a sign": post(CHUNKED, body=b"+0\r\n\r\n" + HIDDEN),
    "a chunk with a prefix": post(CHUNKED, body=b"0x0\r\n\r\n" + HIDDEN),
    "a chunk beyond all numbers": post(CHUNKED, body=b"1" * 20 + b"\r\n\r\n" + HIDDEN),
    "a chunk with the wrong end": post(CHUNKED, body=b"2\r\n{}XX0\r\n\r\n" + HIDDEN),
    "no size of a chunk": post(CHUNKED, body=b"\r\n\r\n" + HIDDEN),
    "a bad version": post(b"Content-Length: 0", version=b"HTTP/1.1x", body=HIDDEN),
    "no space before the version": b"GET /healthzHTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    "a space in the path": b"GET /healthz /x HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    "a zero byte in the path": b"GET /healthz\x00 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + HIDDEN,
}  # fmt: skip


def statuses(raw: bytes) -> list[int]:
    return [int(status) for status in ANSWER.findall(raw)]


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_be_parted_in_two_ways_is_refused_and_ends_the_connection(served: Served, what: str) -> None:
    raw = served.speak(REFUSED[what])
    assert len(statuses(raw)) <= 1, raw
    assert all(status == 400 for status in statuses(raw)), raw
    assert b"hidden" not in raw, "what was hidden in it was answered"


def authorization(served: Served) -> bytes:
    return b"Authorization: Basic " + base64.b64encode(":".join(served.admin).encode()) + b"\r\n"


@pytest.mark.parametrize("ending", [b"\n", b"\r"])
def test_lines_that_end_otherwise_are_no_second_request(served: Served, ending: bytes) -> None:
    raw = served.speak(post(b"Content-Length: 0", ending=ending, body=HIDDEN), seconds=3)
    assert statuses(raw) in ([], [400]), raw
    assert b"hidden" not in raw


def test_what_stands_in_a_body_is_a_body(served: Served) -> None:
    """The plain case: both say the same, so the hidden request is never one."""
    head = post(authorization(served).strip(), LENGTH, b"Connection: close")
    raw = served.speak(head + HIDDEN)
    assert statuses(raw) == [400], "no JSON"
    assert b"hidden" not in raw


def test_pipelined_requests_are_answered_in_their_order_each_as_its_own_caller(served: Served) -> None:
    own = b"GET /v2/users/me HTTP/1.1\r\n" + HOST + authorization(served) + b"X-Request-Id: own\r\n\r\n"
    nobody = b"GET /v2/users/me HTTP/1.1\r\n" + HOST + b"X-Request-Id: nobody\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    raw = served.speak(own + nobody + own + nobody + last)
    assert statuses(raw) == [200, 401, 200, 401, 200], "the key of one request opens no other"
    order = re.findall(rb"x-request-id: (own|nobody)", raw)
    assert order == [b"own", b"nobody", b"own", b"nobody"]


def test_a_chunked_body_ends_where_it_says_and_trailers_are_no_headers(served: Served) -> None:
    body = b"2\r\n{}\r\n0\r\n" + authorization(served) + b"\r\n"
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    raw = served.speak(post(CHUNKED, body=body) + last)
    assert statuses(raw) == [401, 200], "a trailer authorises nobody"


def test_a_request_of_http_1_0_is_answered_once_and_ends(served: Served) -> None:
    raw = served.speak(b"GET /healthz HTTP/1.0\r\n\r\n" + HIDDEN)
    assert statuses(raw) == [200]
    assert b"hidden" not in raw


def test_hosts_and_absolute_addresses_lead_nowhere_else(served: Served) -> None:
    for request in (
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: keyrack.test\r\nConnection: close\r\n\r\n",
        b"GET /console HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /console HTTP/1.1\r\nHost: keyrack.test\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /console HTTP/1.1\r\nHost: keyrack.test\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n",
    ):
        raw = served.speak(request)
        assert len(statuses(raw)) == 1
        assert b"evil.example" not in raw.lower()
