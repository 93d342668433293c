"""Security headers of every answer: all routes, refusals, pages, files, and what no route sees (issue 15.5)."""

import re
from pathlib import Path

import httpx2
import pytest

from support.app import World, settings_for, world
from support.keyrack_processes import Served

ONE = {
    "x-content-type-options": {"nosniff"},
    "x-frame-options": {"DENY"},
    "referrer-policy": {"no-referrer", "same-origin"},
    "cross-origin-resource-policy": {"same-origin"},
}
CACHED = re.compile(r"/(docs/.+|console/files/.+|connect\.js|connect/logos?/.+)$")
ID = "5f3f3f3f3f3f3f3f3f3f3f3f"


def faults(headers: httpx2.Headers, path: str) -> list[str]:
    """Return what is wrong with an answer's headers."""
    wrong = []
    for name, allowed in ONE.items():
        values = [value for key, value in headers.multi_items() if key == name]
        elsewhere = {"cross-origin"} if (name, path) == ("cross-origin-resource-policy", "/connect.js") else set()
        if len(values) != 1 or values[0] not in allowed | elsewhere:
            wrong.append(f"{name}: {values}")
    policy, cached = headers.get("content-security-policy", ""), headers.get("cache-control", "")
    if "unsafe" in policy or not all(part in policy for part in ("default-src 'none'", "frame-ancestors 'none'")):
        wrong.append(f"content-security-policy: {policy}")
    if cached != "no-store" and not (CACHED.search(path) and cached.startswith("public")):
        wrong.append(f"cache-control: {cached}")
    if headers.get("access-control-allow-origin") and path != "/connect.js":
        wrong.append("access-control-allow-origin")
    wrong += [told for told in ("server", "x-powered-by", "access-control-allow-credentials") if told in headers]
    return wrong if headers.get("x-request-id") else [*wrong, "no request id"]


def asked(keyrack: World) -> list[tuple[str, str]]:
    """Return a method and path for every route there is."""
    found = []
    for route in keyrack.litestar.routes:
        path = re.sub(r"\{[^}]+\}", ID, route.path_format if hasattr(route, "path_format") else route.path)
        found += [(str(method), path) for method in sorted(getattr(route, "methods", {"GET"}))]
    return found


async def test_every_route_has_them_for_everybody(keyrack_to_read: World) -> None:
    routes = asked(keyrack_to_read)
    assert len(routes) > 150
    admin = keyrack_to_read.tenants["Acme"].admin
    wrong: dict[str, list[str]] = {}
    statuses = set()
    for method, path in routes:
        for headers in ({}, admin.headers):
            if headers and method not in {"GET", "HEAD", "OPTIONS"}:
                continue  # nothing is to be changed here; whoever is refused gets the same headers
            answer = await keyrack_to_read.http.request(method, path, headers=headers, follow_redirects=False)
            statuses.add(answer.status_code)
            if found := faults(answer.headers, path):
                wrong[f"{method} {path} {answer.status_code}"] = found
    assert wrong == {}
    assert {200, 401, 403, 404} <= statuses


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404), ("GET", "/v2/nothing", 401), ("DELETE", "/healthz", 405),
        ("GET", "/callback/oauth2", 400),
        ("GET", "/callback/x/y", 404), ("GET", "/console/nothing", 404), ("GET", "/connect/nothing", 404),
        ("GET", "/docs/../../etc/passwd", 404), ("GET", "/console", 303), ("HEAD", "/healthz", 200),
        ("GET", "/docs", 200), ("GET", "/openapi.json", 200), ("GET", "/connect.js", 200), ("GET", "/metrics", 401),
        ("TRACE", "/healthz", 405),
    ],
)  # fmt: skip
async def test_odd_answers_have_them_too(keyrack_to_read: World, method: str, path: str, status: int) -> None:
    answer = await keyrack_to_read.http.request(method, path, follow_redirects=False)
    assert answer.status_code == status
    assert faults(answer.headers, path) == []


async def test_refusals_of_bodies_have_them(keyrack_to_read: World) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    statuses = []
    for content, media_type in (
        (b"{", "application/json"),
        (b"a" * (2 << 20), "application/json"),
        (b"{}", "text/xml"),
    ):
        headers = admin.headers | {"content-type": media_type}
        answer = await keyrack_to_read.http.post("/v2/flows", content=content, headers=headers)
        statuses.append(answer.status_code)
        assert faults(answer.headers, "/v2/flows") == []
    assert statuses == [400, 413, 406]


async def test_transport_security_goes_with_a_public_address_of_https(tmp_path: Path) -> None:
    for number, (url, expected) in enumerate(
        (("https://keys.example", "max-age=31536000"), ("http://keys.example", None), (None, None))
    ):
        more = {} if url is None else {"public_url": url}
        async with world(settings_for(tmp_path / str(number), **more)) as keyrack:
            for path in ("/healthz", "/v2/users/me", "/console/sign-in", "/nothing"):
                answer = await keyrack.http.get(path)
                assert answer.headers.get("strict-transport-security") == expected, (url, path)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
    ],
)
def test_refusals_of_connections_have_them(served: Served, sent: bytes, status: int) -> None:
    head, _, _ = served.speak(sent).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert int(first.split()[1]) == status
    parted = [line.partition(": ") for line in lines]
    headers = httpx2.Headers([(name, value) for name, _, value in parted])
    assert faults(headers, "/") == []
