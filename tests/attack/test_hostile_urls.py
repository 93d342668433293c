"""Hundreds of hostile URLs at every route that takes one, and at the connector without what stands before it (15.4)."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from attack.hostile_urls import HOSTS, URLS
from keyrack.errors import ProviderUnavailable, ValidationFailed
from keyrack.provider.client import ProviderClient
from support.app import World, relationship, settings_for, world
from support.console import signed_in
from support.raw_provider import FakeResolver, token_request
from support.rebinding import Trap, trap
from support.single_sign_on import SETTINGS

MEMBERS = (
    "auth_uri", "token_uri", "refresh_token_uri", "revocation_uri", "issuer", "userinfo_uri", "registration_endpoint",
    "registration_client_uri",
)  # fmt: skip


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[World]:
    """A Keyrack as an operator finds it: nothing insecure is allowed, and nothing listens to what it calls."""
    async with world(settings_for(tmp_path, rate_limit="0", rate_limit_tenant="0", rate_limit_address="0")) as keyrack:
        yield keyrack


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len({url for _, url in URLS}) == len(URLS) >= 150


def json_safe(url: str) -> bool:
    """Tell whether a text reaches a check of addresses at all; what does not is refused before."""
    return "\0" not in url


async def test_no_route_takes_a_hostile_url(strict: World) -> None:
    acme = strict.tenants["Acme"]
    component_id = await strict.add_component(acme, "attacked", None)
    missed = []

    async def refused(what: str, url: str, method: str, path: str, body: dict[str, Any], *pointers: str) -> None:
        answer = await acme.admin.call(method, path, body)
        told = {error["source"].get("pointer") for error in answer.json().get("errors", []) if "source" in error}
        good = answer.status_code == 400 and (not json_safe(url) or set(pointers) <= told)
        if not good:
            missed.append((what, url, answer.status_code, told))

    for _, url in URLS:
        credentials = {"client_id": "a", "client_secret": "b", **dict.fromkeys(MEMBERS, url)}
        relationships = {
            "components": {"data": [{"id": component_id, "type": "component"}]},
            "tenant": relationship("tenant", acme.id),
        }
        attributes = {"name": "P", "type": "oauth2", "credentials": credentials}
        sent = {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}
        pointers = [f"/data/attributes/credentials/{member}" for member in MEMBERS]
        await refused("auth client", url, "POST", "/v2/auth-clients", sent, *pointers)
        hook = {"data": {"type": "webhook", "attributes": {"url": url}}}
        await refused("webhook", url, "POST", f"/v2/tenants/{acme.id}/webhooks", hook, "/data/attributes/url")
        server = {"data": {"type": "mcp-server", "attributes": {"url": url}}}
        path = f"/v2/workspaces/{acme.workspace_id}/mcp-servers"
        await refused("MCP server", url, "POST", path, server, "/data/attributes/url")
    assert missed == []


async def test_no_value_of_a_person_makes_a_descriptors_address_hostile(strict: World) -> None:
    acme = strict.tenants["Acme"]
    descriptor = {
        "credentials": {
            "fields": {"oauth": {"viewClass": "OAuthFieldView"}, "host": {"viewClass": "TextFieldView"}},
            "oauth2": {
                "client_id": "id", "client_secret": "s", "auth_uri": "https://{{host}}/a", "token_uri": "https://{{host}}/t"
            },
        }
    }  # fmt: skip
    component_id = await strict.add_component(acme, "templated", descriptor)
    path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents"
    statuses = {}
    for host in ("idp.example", *(host for hosts in HOSTS.values() for host in hosts)):
        data = {
            "type": "oauth-consent",
            "attributes": {"fields": {"host": host}},
            "relationships": {"component": relationship("component", component_id)},
        }
        statuses[host] = (await acme.admin.post(path, {"data": data})).status_code
    assert statuses.pop("idp.example") == 201
    assert {host: status for host, status in statuses.items() if status != 400} == {}


async def test_no_issuer_of_a_sign_in_is_hostile(strict: World) -> None:
    acme = strict.tenants["Acme"]
    admin = await signed_in(strict, acme.admin, acme.id)
    await admin.get(SETTINGS)
    statuses = {}
    for url in (*(url for _, url in URLS), "https://idp.example"):
        answer = await admin.post(
            SETTINGS,
            issuer=url,
            client_id="c",
            client_auth="client_secret_basic",
            client_secret="s",
            domains="",
            allows_passwords="on",
        )
        statuses[url] = answer.status_code
    assert statuses.pop("https://idp.example") == 303, "saved"
    assert {url: status for url, status in statuses.items() if status != 400} == {}


@pytest.mark.parametrize("allow_insecure", [False, True])
async def test_the_connector_alone_reaches_no_hostile_host(*, allow_insecure: bool) -> None:
    """Without the check of the URL before it: whatever another library would make of a host."""
    async with trap() as caught:
        for kind, hosts in HOSTS.items():
            if allow_insecure and kind not in {"metadata", "multicast and broadcast", "reserved", "documentation"}:
                continue
            for host in hosts:
                await _knock(caught, host, allow_insecure=allow_insecure)
        assert caught.reached == []
        if allow_insecure:  # the trap would have caught it
            await _knock(caught, "127.0.0.1", allow_insecure=True)
            assert len(caught.reached) == 1


async def _knock(caught: Trap, host: str, *, allow_insecure: bool) -> None:
    """Ask the HTTP library itself for a host, by a resolver that says that every name is this machine."""
    with suppress(Exception):  # what it makes of such a host is its own matter, as long as nobody is reached
        url = URL(f"http://{host}:{caught.port}/")
        resolver = FakeResolver(["127.0.0.1", "::1"] if not allow_insecure else ["169.254.169.254"])
        async with (
            ProviderClient(allow_insecure=allow_insecure, resolver=resolver, timeout=5) as client,
            client._opened().get(url, allow_redirects=False),
        ):
            pass


async def test_no_hostile_url_is_called() -> None:
    resolver = FakeResolver(["127.0.0.1"])
    async with trap() as caught, ProviderClient(resolver=resolver, timeout=5) as client:
        for _, url in URLS:
            with pytest.raises((ProviderUnavailable, ValidationFailed)) as refused:
                await client.send(token_request(url))
            if isinstance(refused.value, ProviderUnavailable):
                assert refused.value.failure.sent is False
            with suppress(ValidationFailed):
                assert (await client.probe(url)).reason is not None
        assert caught.reached == []
