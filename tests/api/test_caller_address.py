"""Where a request comes from: headers of named proxies are believed, and nobody else's (issue 15.5)."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.api.core.caller_address import CallerAddress
from keyrack.errors import ConfigurationError
from support.app import BASE, World, settings_for, world

PROXIES = "10.0.0.1,10.1.0.0/16,2001:db8:ffff::/48"
REAL, SPOOFED = "203.0.113.7", "198.51.100.9"


def found(peer: str | None, *headers: tuple[str, str], trusted: str = PROXIES, header: str = "x-forwarded-for") -> Any:
    scope = {
        "client": None if peer is None else (peer, 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return CallerAddress(trusted, header).of(scope)


def xff(*values: str) -> list[tuple[str, str]]:
    return [("x-forwarded-for", value) for value in values]


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("10.0.0.1", [REAL], REAL),
        ("10.1.2.3", [f"{SPOOFED}, {REAL}"], REAL),
        ("10.0.0.1", [f"{SPOOFED}, {REAL}, 10.1.9.9"], REAL),
        ("10.0.0.1", [SPOOFED, REAL], REAL),
        ("10.0.0.1", [REAL, "10.1.0.1"], REAL),
        ("10.0.0.1", ["2001:db8::5, 2001:db8:ffff::1"], "2001:db8::5"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [f"{SPOOFED}, unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{SPOOFED},"], "10.0.0.1"),
        ("10.0.0.1", [f"{SPOOFED}, evil'; DROP"], "10.0.0.1"),
        ("10.0.0.1", ["10.1.0.1, 10.1.0.2"], "10.0.0.1"),
        (REAL, [SPOOFED], REAL),
        (REAL, [f"{SPOOFED}, 10.0.0.1"], REAL),
        ("10.0.0.2", [SPOOFED], "10.0.0.2"),
        (None, [SPOOFED], None),
    ],
)
def test_the_last_address_that_is_no_proxy_counts(peer: str | None, values: list[str], expected: str | None) -> None:
    assert found(peer, *xff(*values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"for={REAL}"], REAL),
        ([f"For={REAL};proto=https;by=10.0.0.1"], REAL),
        ([f"by=10.0.0.1; for={REAL}:4711"], REAL),
        (['for="[2001:db8::5]:4711"'], "2001:db8::5"),
        ([f"for={SPOOFED}, for={REAL}"], REAL),
        ([f"for={SPOOFED}", f"for={REAL}"], REAL),
        ([f"for={SPOOFED}, for={REAL}, for=10.1.0.1"], REAL),
        ([f'for="{SPOOFED}, for={REAL}'], REAL),
        ([f'for={SPOOFED};x=", for="{REAL}"'], REAL),
        ([f'for="{SPOOFED},x=""", for={REAL}'], REAL),
        ([f'for={SPOOFED};x="a, for={SPOOFED}", for={REAL}'], REAL),
        ([f"for={SPOOFED}, for=unknown"], "10.0.0.1"),
        ([f"for={SPOOFED}, for=_hidden"], "10.0.0.1"),
        ([f"for={SPOOFED}, proto=https"], "10.0.0.1"),
        ([f"for={SPOOFED}, "], "10.0.0.1"),
        ([f"for={SPOOFED}, xfor={SPOOFED}"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_forwarded_is_read_from_its_end(values: list[str], expected: str) -> None:
    headers = [("forwarded", value) for value in values]
    assert found("10.0.0.1", *headers, header="forwarded") == expected


def test_only_the_header_that_was_chosen_is_read() -> None:
    both = [("forwarded", f"for={SPOOFED}"), ("x-forwarded-for", REAL), ("x-real-ip", SPOOFED), ("client-ip", SPOOFED)]
    assert found("10.0.0.1", *both) == REAL
    turned = [("forwarded", f"for={REAL}"), ("x-forwarded-for", SPOOFED)]
    assert found("10.0.0.1", *turned, header="forwarded") == REAL
    assert found("10.0.0.1", *both, trusted="") == "10.0.0.1", "nobody is believed unless named"
    assert found("10.0.0.1", *turned, trusted="", header="forwarded") == "10.0.0.1"


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ("proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "*"):
        with pytest.raises(ConfigurationError, match="KEYRACK_TRUSTED_PROXIES"):
            settings_for(tmp_path, trusted_proxies=wrong)
    for wrong in ("proxy.example", "10.0.0.1/8", "10.*.0.1"):
        with pytest.raises(ConfigurationError, match="KEYRACK_TRACE_PARENTS"):
            settings_for(tmp_path, trace_parents=wrong)
    assert settings_for(tmp_path, trace_parents="10.0.0.0/8, *").trace_parents


async def heard(keyrack: World, peer: str, path: str = "/v2/users/nobody", **headers: str) -> str:
    """Be refused, and return the address in the audit log."""
    admin = keyrack.tenants["Acme"].admin
    transport = httpx2.ASGITransport(keyrack.app, client=(peer, 1))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=admin.headers | headers) as http:
        await http.get(path)
        sent = {"data": {"type": "api-key", "attributes": {"name": peer}}}
        assert (await http.post("/v2/users/me/api-keys", json=sent)).status_code == 201
    acme = keyrack.tenants["Acme"]
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=api-key.create")).json()["data"]
    return str(events[0]["attributes"]["address"])


async def test_nobody_writes_another_address_into_the_audit_log(tmp_path: Path) -> None:
    spoofs = {
        "x-forwarded-for": SPOOFED, "forwarded": f"for={SPOOFED}", "x-real-ip": SPOOFED, "true-client-ip": SPOOFED,
        "x-client-ip": SPOOFED, "cf-connecting-ip": SPOOFED, "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https", "x-original-url": "/v2/tenants", "x-rewrite-url": "/v2/tenants",
        "x-http-method-override": "DELETE",
    }  # fmt: skip
    async with world(settings_for(tmp_path, trusted_proxies="10.0.0.1")) as keyrack:
        assert await heard(keyrack, REAL, **spoofs) == REAL
        assert await heard(keyrack, "10.0.0.1", **spoofs | {"x-forwarded-for": f"{SPOOFED}, {REAL}"}) == REAL
        acme = keyrack.tenants["Acme"]
        answer = await acme.admin.get("/v2/users/me", headers=spoofs)
        assert answer.status_code == 200
        assert "evil.example" not in answer.text + str(answer.headers)
