"""The page of a diagnosis: its findings with what to change, hostile words of a provider, and who gets it."""

import json

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.console import signed_in
from support.direct_grants import client_of
from support.grants import add_auth_client
from support.raw_provider import RawProvider, json_answer

SCRIPT = "<script>alert(1)</script>"


async def test_a_diagnosis_says_what_to_change_and_where_and_shows_no_secret(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, client_secret="canary-secret")
    browser = await signed_in(keyrack, acme.admin, acme.id)
    at = f"/console/auth-clients/{client.id}"
    assert f'action="{at}/diagnose"' in (await browser.get(at)).text
    page = await browser.post(f"{at}/diagnose")
    assert page.status_code == 200
    assert "invalid_client" in page.text
    assert "<code>/data/attributes/credentials/client_secret</code>" in page.text
    assert "client_secret=***" in page.text
    assert "canary" not in page.text
    stranger = await signed_in(keyrack, keyrack.tenants["Globex"].admin, keyrack.tenants["Globex"].id)
    await stranger.get("/console")
    assert (await stranger.post(f"{at}/diagnose")).status_code == 404


async def test_what_a_hostile_provider_says_is_text(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    said = json.dumps({"error": SCRIPT, "error_description": "\u202e" + "x" * 20_000 + SCRIPT})
    raw_provider.answers = [json_answer(said, "400 Bad Request", Location=SCRIPT)]
    client = await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint)
    browser = await signed_in(keyrack, acme.admin, acme.id)
    await browser.get("/console")
    page = await browser.post(f"/console/auth-clients/{client.id}/diagnose")
    assert page.status_code == 200
    assert SCRIPT not in page.text
    assert "&lt;script&gt;" in page.text
    assert "\u202e" not in page.text
    assert len(page.text) < 40_000


async def test_of_a_grant_without_a_browser_nothing_is_said_of_callbacks(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    at = f"/console/auth-clients/{await client_of(keyrack, simulator, 'password')}"
    browser = await signed_in(keyrack, acme.admin, acme.id)
    assert "Redirect URI" not in (await browser.get(at)).text
    page = (await browser.post(f"{at}/diagnose")).text
    assert "Metadata of the server" in page
    assert "were not tried" not in page
    assert "callbacks" not in page
