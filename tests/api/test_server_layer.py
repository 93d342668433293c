"""What the HTTP server itself meets, over real connections: raw bytes, endless bodies, split headers (issue 2.10)."""

import base64
import json
import socket
import time
from typing import Any

import httpx2
import pytest

from support.keyrack_processes import Served, read_to_end

MIB = 1 << 20


def head(served: Served, method: str = "POST", path: str = "/v2/components", *lines: str) -> bytes:
    """Return the head of an authenticated request, without the empty line at its end."""
    token = base64.b64encode(":".join(served.admin).encode()).decode()
    first = [f"{method} {path} HTTP/1.1", "host: keyrack.test", f"authorization: Basic {token}", "connection: close"]
    return "\r\n".join([*first, "content-type: application/json", *lines, ""]).encode("latin-1")


def parsed(raw: bytes) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and JSON body of the first answer in what was received."""
    answer, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = answer.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    document = json.loads(body[: int(headers["content-length"])]) if headers.get("content-length") else None
    return int(first.split()[1]), headers, document


def components(served: Served) -> int:
    path = f"/v2/components?contract_id={served.first['contract_id']}"
    answer = httpx2.get(f"{served.base}{path}", auth=served.admin)
    return len(answer.json()["data"])


def test_a_declared_length_beyond_the_limit_is_refused_before_the_body_comes(served: Served) -> None:
    raw = served.speak(head(served, "POST", "/v2/components", f"content-length: {5 * MIB}") + b"\r\n")
    status, _, document = parsed(raw)
    assert (status, document["errors"][0]["code"]) == (413, "payload_too_large")


def test_an_endless_chunked_body_is_refused_without_being_read(served: Served) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(head(served, "POST", "/v2/components", "transfer-encoding: chunked") + b"\r\n")
        connection.settimeout(2)
        try:
            for _ in range(800):  # 50 MiB, if somebody reads them
                connection.sendall(chunk)
                sent += 0x10000
        except (ConnectionError, TimeoutError):
            pass
        connection.settimeout(60)
        status, _, document = parsed(read_to_end(connection))
    assert (status, document["errors"][0]["code"]) == (413, "payload_too_large")
    assert sent < 40 * MIB


def test_a_body_beyond_the_limit_in_chunks_stores_nothing(served: Served) -> None:
    before = components(served)
    team = {"data": {"id": served.first["team_id"], "type": "team"}}
    body = {"data": {"type": "component", "attributes": {"name": "chunked"}, "relationships": {"team": team}}}
    content = json.dumps(body).encode()
    pieces = [content, *[b" " * 0x8000] * 40]
    answer = httpx2.post(
        f"{served.base}/v2/components",
        content=iter(pieces),
        auth=served.admin,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 413
    assert components(served) == before


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v2/users/me HTTP/1.1\r\nhost: a\r\nx-request-id: a\nset-cookie: b=c\r\n\r\n",
        b"GET /v2/users/me HTTP/1.1\r\nhost: a\r\nx-request-id: a\rset-cookie: b=c\r\n\r\n",
        b"GET /v2/users/me HTTP/1.1\r\nhost: a\r\nx-request-id: a\0b\r\n\r\n",
        b"GET /v2/users/me\x00 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /v2/users/me HTTP/1.1\r\nhost: a\r\nna me: x\r\n\r\n",
        b"GET /v2/users/me HTTP/9.9\r\nhost: a\r\n\r\n",
        b"get /v2/users/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /v2/users/%0d%0aset-cookie:%20b=c HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"POST /v2/users HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /v2/users HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /v2/users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\r\n\r\n\r\n\r\n",
    ],
    ids=lambda request: repr(request[:60]),
)
def test_a_malformed_request_is_refused_or_cut_off(served: Served, request_: bytes) -> None:
    raw = served.speak(request_, seconds=3)
    assert b"set-cookie" not in raw.lower().partition(b"\r\n\r\n")[0]
    if request_.strip():
        assert raw.startswith(b"HTTP/1.1 401" if b"/users/%0d" in request_ else b"HTTP/1.1 400"), raw[:200]
    else:
        assert raw == b"", "nothing has been asked"
    assert httpx2.get(f"{served.base}/healthz").status_code == 200


def test_a_long_head_does_not_stop_the_server(served: Served) -> None:
    raw = served.speak(head(served, "GET", "/v2/users/" + "x" * 10_000) + b"\r\n")
    assert parsed(raw)[0] == 404
    raw = served.speak(head(served, "GET", "/v2/users/me", "x-long: " + "y" * 200_000) + b"\r\n", seconds=3)
    # the answer may be lost: the server closes with something unread, which a system may tell as a reset
    assert not raw or parsed(raw)[0] == 431
    assert httpx2.get(f"{served.base}/healthz").status_code == 200


def test_half_a_body_does_not_hold_others_up(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as slow:
        slow.sendall(head(served, "POST", "/v2/components", "content-length: 1000") + b"\r\n{")
        assert httpx2.get(f"{served.base}/readyz", timeout=60).status_code == 200
    deadline = time.monotonic() + 60
    while '"path": "/v2/components", "status": 400' not in served.log():
        assert time.monotonic() < deadline, served.log()
        time.sleep(0.05)
    assert "Traceback" not in served.log()
    assert '"event": "fault"' not in served.log(), "a client that leaves is no fault"


def test_the_answer_to_head_ends_with_its_head(served: Served) -> None:  # RFC 9110 section 9.3.2
    heads = [
        head(served, "HEAD", path).replace(b"connection: close\r\n", b"") + b"\r\n" for path in ("/healthz", "/v2/x")
    ]
    raw = served.speak(b"".join(heads) + head(served, "GET", "/healthz") + b"\r\n")
    first, second, third, body = raw.split(b"\r\n\r\n")
    assert [part.split()[1] for part in (first, second, third)] == [b"200", b"404", b"200"]
    assert b"content-length: %d" % len(body) in first.lower()
    assert body == b'{"status":"ok"}'
