"""Connections that say nothing, too much or too slowly: the victim's requests are answered meanwhile (issue 9.8)."""

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.keyrack_processes import Served, bootstrapped, read_to_end, serving
from support.loopback_peers import ATTACKER, connect, connections, is_closed
from support.waits_and_faults import wait_until

PER_ADDRESS = 20
MOST = 45
SILENT = 1100
HEAD = b"GET /v2/users/me HTTP/1.1\r\nhost: keyrack.test\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A process with few connections to give."""
    home = tmp_path_factory.mktemp("strict")
    with serving(
        home,
        bootstrapped(home),
        KEYRACK_MAX_CONNECTIONS=str(MOST),
        KEYRACK_MAX_CONNECTIONS_PER_ADDRESS=str(PER_ADDRESS),
        KEYRACK_HEADER_TIMEOUT="600",
        KEYRACK_BODY_TIMEOUT="600",
        KEYRACK_TRUSTED_PROXIES="127.0.0.9",
        KEYRACK_METRICS_OPEN="true",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A process that waits for nobody."""
    home = tmp_path_factory.mktemp("impatient")
    with serving(
        home,
        bootstrapped(home),
        KEYRACK_HEADER_TIMEOUT="0.8",
        KEYRACK_BODY_TIMEOUT="0.8",
        KEYRACK_WRITE_TIMEOUT="2",
        KEYRACK_KEEPALIVE_SECONDS="2",
    ) as running:
        yield running


def victim_reads(served: Served, times: int = 3) -> list[int]:
    """Return the statuses of requests, each over a connection of its own."""
    answers = [httpx2.get(f"{served.base}/v2/users/me", auth=served.admin, timeout=60) for _ in range(times)]
    return [answer.status_code for answer in answers]


def authorized(served: Served) -> bytes:
    return b"authorization: Basic " + base64.b64encode(":".join(served.admin).encode()) + b"\r\n"


def refusal(raw: bytes) -> tuple[int, str]:
    """Return status and code of the first answer in what was received."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head, head
    document: dict[str, Any] = json.loads(body)
    return int(head.split()[1]), document["errors"][0]["code"]


def test_silent_connections_exhaust_nobody(strict: Served) -> None:
    with connections(strict.port, SILENT):
        assert victim_reads(strict) == [200] * 3


def test_silent_connections_from_the_victims_own_address_give_way(strict: Served) -> None:
    with connections(strict.port, SILENT, source="127.0.0.1") as held:
        assert victim_reads(strict) == [200] * 3
        wait_until(lambda: sum(not is_closed(one) for one in held) <= PER_ADDRESS)


def test_silent_connections_from_many_addresses_give_way(strict: Served) -> None:
    with (
        connections(strict.port, 2 * PER_ADDRESS, source="127.0.0.3"),
        connections(strict.port, 2 * PER_ADDRESS, source="127.0.0.4"),
        connections(strict.port, 2 * PER_ADDRESS, source="127.0.0.5"),
    ):
        assert victim_reads(strict) == [200] * 3


def test_half_a_head_gives_way_with_an_answer(strict: Served) -> None:
    with connections(strict.port, PER_ADDRESS + 1, HEAD) as held:
        assert victim_reads(strict) == [200] * 3
        assert refusal(read_to_end(held[0])) == (503, "too_many_connections")


def test_one_more_than_are_at_work_is_answered_503_and_not_reset(strict: Served) -> None:
    begun = HEAD.replace(b"GET", b"POST").replace(b"/me", b"") + authorized(strict) + b"content-length: 9\r\n\r\n{"
    with connections(strict.port, PER_ADDRESS, begun):
        wait_until(lambda: _one_more(strict) == (503, "too_many_connections"))
        assert victim_reads(strict) == [200] * 3


def _one_more(served: Served) -> tuple[int, str]:
    with connect(served.port) as one_more:
        one_more.sendall(HEAD + authorized(served) + b"connection: close\r\n\r\n")
        raw = read_to_end(one_more)
    return (200, "") if raw.startswith(b"HTTP/1.1 200") else refusal(raw)


def test_a_trusted_proxy_has_any_number(strict: Served) -> None:
    begun = HEAD.replace(b"GET", b"POST") + authorized(strict) + b"content-length: 9\r\n\r\n{"
    with connections(strict.port, PER_ADDRESS + 5, begun, source="127.0.0.9") as held:
        assert victim_reads(strict) == [200] * 3
        assert not any(is_closed(one) for one in held)


def test_what_was_ended_is_counted(strict: Served) -> None:
    with connections(strict.port, PER_ADDRESS + 1):
        found = httpx2.get(f"{strict.base}/metrics").text
    assert 'keyrack_http_connections_ended_total{reason="evicted"}' in found
    assert "keyrack_http_connections " in found


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x-long: " + b"y" * (64 * MIB),
        b"GET /" + b"y" * MIB + b" HTTP/1.1\r\n",
        HEAD + b"".join(b"x-%d: y\r\n" % number for number in range(200_000)),
        HEAD + b"".join(b"x-%d: y\r\n" % number for number in range(100)) + b"\r\n",
    ],
    ids=["one long header", "a long address", "many headers", "101 headers"],
)
def test_a_head_without_measure_is_refused_early(strict: Served, head: bytes) -> None:
    sent = 0
    with connect(strict.port) as attacker:
        try:
            while sent < len(head):
                sent += attacker.send(head[sent : sent + (1 << 16)])
        except ConnectionError:
            pass
        raw = read_to_end(attacker)
        if raw:  # else the end of what was sent has overtaken the answer
            assert refusal(raw) == (431, "headers_too_large")
        assert raw or len(head) > MIB
    assert sent < 16 * MIB
    assert victim_reads(strict) == [200] * 3


def test_one_hundred_headers_and_a_long_address_are_fine(strict: Served) -> None:
    headers = {f"x-{number}": "y" * 200 for number in range(90)}
    answer = httpx2.get(f"{strict.base}/v2/users/me?{'q' * 30_000}", auth=strict.admin, headers=headers)
    assert answer.status_code == 200


def test_what_no_http_client_sends_is_told_so(strict: Served) -> None:
    with connect(strict.port) as attacker:
        attacker.sendall(b"\x16\x03\x01\x02\x00")
        assert refusal(read_to_end(attacker)) == (400, "bad_request")


def test_requests_sent_at_once_are_answered_in_order_up_to_a_number(strict: Served) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    with connect(strict.port) as attacker:
        attacker.sendall(one * 5000)
        raw = read_to_end(attacker)
    assert 2 <= raw.count(b"HTTP/1.1 200") <= 100
    with connect(strict.port) as patient:
        patient.sendall(one * 9 + one.replace(b"host: a", b"host: a\r\nconnection: close"))
        assert read_to_end(patient).count(b"HTTP/1.1 200") == 10


def test_headers_behind_a_body_are_none_of_the_requests(strict: Served) -> None:
    head = HEAD.replace(b"GET", b"POST").replace(b"/me", b"") + authorized(strict) + b"connection: close\r\n"
    with connect(strict.port) as sender:
        sender.sendall(head + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ncontent-type: text/plain\r\n\r\n")
        raw = read_to_end(sender)
    assert raw.startswith(b"HTTP/1.1 400"), raw  # judged as JSON: 406 if the trailer had counted


def test_a_request_for_another_protocol_is_answered_in_this_one(strict: Served) -> None:
    with connect(strict.port) as sender:
        sender.sendall(HEAD + authorized(strict) + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
        raw = read_to_end(sender)
    assert raw.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in raw


def test_a_silent_connection_is_closed(impatient: Served) -> None:
    with connect(impatient.port) as silent:
        assert read_to_end(silent) == b""


@pytest.mark.parametrize("first", [b"", b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"], ids=["new", "used"])
def test_a_head_in_drops_is_told_so(impatient: Served, first: bytes) -> None:
    with connect(impatient.port) as slow:
        slow.sendall(first)
        if first:
            assert b'"status":"ok"' in _one_answer(slow)
        slow.sendall(HEAD)
        assert refusal(read_to_end(slow)) == (408, "request_timeout")


def _one_answer(connection: socket.socket) -> bytes:
    raw = b""
    while not raw.endswith(b"}"):
        raw += connection.recv(1 << 16)
    return raw


def test_an_idle_connection_ends_after_the_time_set(impatient: Served) -> None:
    with connect(impatient.port) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        _one_answer(idle)
        assert read_to_end(idle) == b""


def test_empty_lines_keep_no_connection(impatient: Served) -> None:
    with connect(impatient.port) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        _one_answer(idle)
        idle.sendall(b"\r\n")
        assert refusal(read_to_end(idle)) == (408, "request_timeout")


@pytest.mark.parametrize("authorization", [True, False], ids=["read", "not read by anybody"])
def test_a_body_in_drops_is_told_so(impatient: Served, authorization: bool) -> None:
    head = HEAD.replace(b"GET", b"POST").replace(b"/me", b"")
    head += authorized(impatient) if authorization else b""
    with connect(impatient.port) as slow:
        slow.sendall(head + b"content-length: 1000\r\n\r\n{")
        raw = read_to_end(slow)
    if authorization:
        assert refusal(raw) == (408, "request_timeout")
    else:
        assert raw.startswith(b"HTTP/1.1 401")


def test_answers_that_nobody_reads_are_given_up(impatient: Served) -> None:
    one = HEAD.replace(b"/v2/users/me", b"/openapi.json") + b"\r\n"
    with connect(impatient.port, receive_buffer=4096) as attacker:
        attacker.sendall(one * 17)
        wait_until(lambda: '"reason": "unread"' in impatient.log())
    assert impatient.wait("/healthz", 200).status_code == 200


def test_the_attackers_address_is_in_the_log(impatient: Served) -> None:
    assert f'"address": "{ATTACKER}"' in impatient.log()
