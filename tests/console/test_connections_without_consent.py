"""Connections that need no person, in the console: made without a trip to the provider, and given other values."""

import pytest

from keyrack.console.consents.field_values import field_id
from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.console import signed_in
from support.console_connecting import Integrator
from support.direct_grants import USER, client_of, secret_at

USER_NAME, PASSWORD = field_id("username"), field_id("password")


@pytest.fixture
async def integrator(keyrack: World) -> Integrator:
    acme = keyrack.tenants["Acme"]
    return Integrator(keyrack, await signed_in(keyrack, acme.integrator, acme.id), acme)


async def test_an_account_is_connected_by_the_form_alone_and_given_other_values(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    keyrack, browser = integrator.world, integrator.browser
    profile = {"inputs": USER, "keeps_password": True}
    client_id = await client_of(keyrack, simulator, "password", profile=profile)
    page = await browser.get(f"{integrator.path}/connect?auth_client={client_id}")
    assert "Nobody has to agree anywhere" in page.text
    typed = {"name": "Legacy", USER_NAME: "alice", "scopes": "read"}
    refused = await integrator.send(f"{integrator.path}/connect", **typed, **{PASSWORD: "wrong-canary"})
    assert refused.status_code == 400
    assert "The provider says: invalid_grant" in refused.text
    assert "wrong-canary" not in refused.text
    typed |= {**integrator.hidden(), PASSWORD: "wonderland"}
    made = await integrator.send(f"{integrator.path}/connect", **typed)
    assert made.status_code == 303, made.text
    place = made.headers["location"].partition("?")[0]
    again = await integrator.send(f"{integrator.path}/connect", **typed)
    assert again.headers["location"].partition("?")[0] == place  # a form that is sent twice makes one
    page = await browser.get(place)
    assert "renews itself" in page.text
    assert "Get a new token" in page.text
    assert "Reconnect" not in page.text

    secret_id = place.rpartition("/")[2]
    path = f"/v2/workspaces/{integrator.tenant.workspace_id}/secrets/{secret_id}"
    before = await secret_at(keyrack, path)
    assert before.requested_scopes == ("read",)
    form = f"{integrator.path}/connect?auth_client={client_id}&secret={secret_id}"
    assert "What you leave empty among secret values stays as it is" in (await browser.get(form)).text
    changed = await integrator.send(f"{integrator.path}/connect", **{USER_NAME: "alice", "scopes": "read write"})
    assert changed.status_code == 303, changed.text
    after = await secret_at(keyrack, path)
    assert after.requested_scopes == ("read", "write")
    assert after.credentials["access_token"] != before.credentials["access_token"]
    renewed = await integrator.send(f"{place}/refresh")
    assert renewed.status_code == 303
    assert (await secret_at(keyrack, path)).credentials["access_token"] != after.credentials["access_token"]
    assert "Reconnect" not in (await browser.get(integrator.path)).text


async def test_what_ended_says_what_to_set_and_not_to_reconnect(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    keyrack = integrator.world
    profile = {"inputs": USER, "keeps_password": True}
    client_id = await client_of(keyrack, simulator, "password", profile=profile)
    await integrator.browser.get(f"{integrator.path}/connect?auth_client={client_id}")
    made = await integrator.send(f"{integrator.path}/connect", **{USER_NAME: "alice", PASSWORD: "wonderland"})
    place = made.headers["location"].partition("?")[0]
    simulator.state.set_defaults({"fail": "invalid_grant"})
    await integrator.browser.get(place)
    failed = await integrator.send(f"{place}/refresh")
    assert "invalid_grant" in failed.text
    page = await integrator.browser.get(place)
    assert "Set the user name and password that are in force" in page.text
    assert "Get a new token" in page.text
    assert "Reconnect" not in page.text


async def test_the_page_of_a_client_shows_what_its_grant_needs(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    acme, client_id = integrator.tenant, await client_of(integrator.world, simulator, "client_credentials")
    admin = await signed_in(integrator.world, acme.admin, acme.id)
    page = (await admin.get(f"/console/auth-clients/{client_id}")).text
    assert "<dt>Grant</dt><dd><code>client_credentials</code>" in page
    assert "<dt>token_uri</dt>" in page
    for name in ("auth_uri", "refresh_token_uri", "pkce", "Redirect URI to register"):
        assert f"<dt>{name}</dt>" not in page


async def test_a_connect_link_cannot_be_made_where_nobody_has_to_agree(
    integrator: Integrator, simulator: RunningSimulator
) -> None:
    client_id = await client_of(integrator.world, simulator, "client_credentials")
    page = await integrator.browser.get(f"{integrator.path}/connect-links/new?auth_client={client_id}")
    assert "Make the link" not in page.text
