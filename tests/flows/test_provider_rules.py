"""Dated rules of providers beside stored grants: in the API, in diagnoses and in the console."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from keyrack.provider.client import ProviderClient
from keyrack.service.diagnosis.examination import Examiner
from keyrack.store.concerned_grants import ConcernedGrants
from support.app import World
from support.console import signed_in
from support.grants import add_auth_client, add_secret, change
from support.raw_provider import FakeResolver

DROPBOX = "https://api.dropboxapi.com/oauth2/token"
OLD, NEW = datetime(2020, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
TOKENS = {"access_token": "at", "refresh_token": "rt"}


async def connected(world: World, client: Any, at: datetime, *scopes: str, tenant: str = "Acme") -> str:
    secret = await add_secret(world.store, world.tenants[tenant], client, TOKENS)
    await change(world.store, secret, connected_at=at, requested_scopes=scopes)
    return secret.id


async def test_connections_from_before_a_rule_are_counted_and_told(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    acme, soon = keyrack.tenants["Acme"], (datetime.now(UTC) + timedelta(days=30)).date()
    rules = [
        {"since": soon.isoformat(), "says": "Tokens of old apps end.", "documentation": "https://provider.example/old"},
        {"since": "2021-01-01", "says": "files_100% is gone.", "scopes": ["files_100%"]},
        {"since": (soon + timedelta(days=90)).isoformat(), "says": "Nobody is told yet."},
    ]
    endpoints = {"authorization": "https://provider.example/a", "token": "https://provider.example/t"}
    profile = {"name": "own", "endpoints": endpoints, "rules": rules}
    client = await add_auth_client(keyrack.store, acme.id, "https://provider.example/t", provider_profile=profile)
    concerned = await connected(keyrack, client, OLD, "files_100%")
    await connected(keyrack, client, OLD, "filesX100%", "filesX100_")
    late = await connected(keyrack, client, NEW, "files_100%")
    usage = (await acme.admin.get(f"/v2/auth-clients/{client.id}/usage")).json()["data"]["attributes"]
    assert usage["provider_rules"] == [
        {"since": "2021-01-01", "says": "files_100% is gone.", "connections": 1},
        {
            "since": soon.isoformat(),
            "says": "Tokens of old apps end.",
            "connections": 3,
            "documentation": "https://provider.example/old",
        },
    ]
    browser = await signed_in(keyrack, acme.admin, acme.id)
    at = f"/console/workspaces/{acme.workspace_id}/connections"
    page = (await browser.get(f"{at}/{concerned}")).text
    assert "files_100% is gone." in page
    assert 'href="https://provider.example/old"' in page
    page = (await browser.get(f"{at}/{late}")).text
    assert "files_100% is gone." not in page
    assert "Tokens of old apps end." in page
    assert "Tokens of old apps end." in (await browser.get(f"/console/auth-clients/{client.id}")).text


async def test_the_catalogues_rules_are_on_the_tenants_overview(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    everyones = await add_auth_client(keyrack.store, "", DROPBOX)
    own = await add_auth_client(keyrack.store, acme.id, DROPBOX)
    await connected(keyrack, everyones, OLD)
    await connected(keyrack, own, OLD)
    await connected(keyrack, own, NEW)
    await connected(keyrack, everyones, NEW, tenant="Globex")
    said = "Access tokens that do not end are no longer given"
    page = (await (await signed_in(keyrack, acme.admin, acme.id)).get("/console")).text
    assert said in page
    assert "2 connections made before" in page
    assert said not in (await (await signed_in(keyrack, acme.integrator, acme.id)).get("/console")).text
    assert said not in (await (await signed_in(keyrack, globex.admin, globex.id)).get("/console")).text
    async with keyrack.store.unit(globex.id) as unit:
        assert await ConcernedGrants(unit).of_client(own.id, NEW, ()) == 0, "another tenant's grants are not counted"
    operator = await keyrack.add_service_account("global.metrics.get")
    page = (await (await signed_in(keyrack, operator, "")).get("/console/installation")).text
    assert said in page
    assert "2 grants made before" in page
    async with ProviderClient(resolver=FakeResolver(OSError("nobody is called"))) as provider:
        limiter, clock = keyrack.services.refreshing.limiter, keyrack.store.clock
        examiner = Examiner(provider, limiter, clock, has_public_url=True, allow_insecure=False)
        keyrack.services.client_diagnoses._examiner = examiner
        answer = await acme.admin.post(f"/v2/auth-clients/{own.id}/diagnose")
    findings = answer.json()["data"]["attributes"]["findings"]
    (rule,) = [each for each in findings if each["check"] == "provider_rules"]
    assert "Since 2021-09-30 on" in rule["seen"]
    assert "made before: 1." in rule["seen"]


@pytest.mark.parametrize("address", ["http://provider.example", "javascript:alert(1)"])
async def test_a_rule_cannot_lead_to_a_script(keyrack: World, address: str) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "rules", {"title": "C", "authClientTypes": ["oauth2"]})
    endpoints = {"authorization": "https://provider.example/a", "token": "https://provider.example/t"}
    rules = [{"since": date(2026, 1, 1).isoformat(), "says": "x", "documentation": address}]
    credentials = {
        "client_id": "id",
        "client_secret": "s",
        "provider_profile": {"name": "own", "endpoints": endpoints, "rules": rules},
    }
    named: dict[str, Any] = {"components": {"data": [{"type": "component", "id": component}]}}
    named["tenant"] = {"data": {"type": "tenant", "id": acme.id}}
    attributes = {"name": "P", "type": "oauth2", "credentials": credentials}
    data = {"type": "auth-client", "attributes": attributes, "relationships": named}
    refused = await acme.admin.post("/v2/auth-clients", {"data": data})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"]["pointer"].endswith("/provider_profile/rules/0/documentation")
