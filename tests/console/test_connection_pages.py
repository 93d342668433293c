"""Connections of a workspace in the console, over HTTP: lists, health, and each action by permission."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from keyrack.model.secrets import ErrorCode, Failure, ProviderAccount, SecretState
from keyrack.simulator.testing import RunningSimulator
from support.app import World, relationship
from support.console import ConsoleBrowser, signed_in
from support.grants import Connected, change, connect, stored
from support.raw_provider import RawProvider, connect_raw, json_answer

HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 10_000


@dataclass
class Desk:
    """Acme's workspace, with a connection of the integrator's that works, and the integrator's browser."""

    world: World
    made: Connected
    browser: ConsoleBrowser

    @property
    def path(self) -> str:
        return f"/console/workspaces/{self.world.tenants['Acme'].workspace_id}"

    @property
    def at(self) -> str:
        return f"{self.path}/connections/{self.made.secret.id}"

    async def as_(self, who: str) -> ConsoleBrowser:
        acme = self.world.tenants["Acme"]
        return await signed_in(self.world, getattr(acme, who), acme.id)

    async def audited(self) -> list[dict[str, Any]]:
        acme = self.world.tenants["Acme"]
        found = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events")).json()["data"]
        return [each["attributes"] for each in found]

    async def link(self) -> str:
        """Link the auth client to a component of the second generation; return the component."""
        descriptor = {"title": "Mail", "authClientTypes": ["oauth2"], "actions": {"run": {"title": "Run"}}}
        component_id = await self.world.add_component(self.world.tenants["Acme"], "mail", descriptor)
        about = {"components": {"data": [{"type": "component", "id": component_id}]}}
        data = {"type": "auth-client", "id": self.made.client.id, "relationships": about}
        acme = self.world.tenants["Acme"]
        path = f"/v2/auth-clients/{self.made.client.id}?tenant_id={acme.id}"
        answer = await acme.admin.patch(path, {"data": data})
        assert answer.status_code == 200, answer.text
        return component_id


@pytest.fixture
async def desk(keyrack: World, simulator: RunningSimulator) -> Desk:
    made = await connect(keyrack, simulator, age=0)
    acme = keyrack.tenants["Acme"]
    return Desk(keyrack, made, await signed_in(keyrack, acme.integrator, acme.id))


async def test_a_workspace_lists_what_is_broken_first_with_the_repair(desk: Desk) -> None:
    page = await desk.browser.get("/console/workspaces")
    assert desk.path in page.text
    page = await desk.browser.get(desk.path)
    assert "Needs attention <span" not in page.text
    assert "Works" in page.text
    await change(
        desk.world.store,
        desk.made.secret,
        state=SecretState.error,
        error="The provider refuses the refresh token. Connect again.",
        error_code=ErrorCode.reauthorization_required,
        error_at=desk.world.store.clock(),
        failure=Failure("grant_dead", "Refused.", "invalid_grant", HOSTILE[:400]),
        failed_at=desk.world.store.clock(),
        account=ProviderAccount(HOSTILE[:200], "42"),
    )
    page = await desk.browser.get(desk.path)
    assert page.text.index("Needs attention <span") < page.text.index(">Connections</h2>")
    assert f'action="{desk.at}/reconnect"' in page.text
    assert "<script>alert" not in page.text
    detail = (await desk.browser.get(desk.at)).text
    assert "The provider refuses the refresh token" in detail
    assert "invalid_grant: " in detail
    assert "has to agree at the provider again" in detail
    assert "<script>alert" not in detail
    guests = await (await desk.as_("guest")).get(desk.path)
    assert "The provider refuses the refresh token" in guests.text
    assert "/reconnect" not in guests.text


async def test_lists_are_narrowed_by_name_state_client_and_component(desk: Desk) -> None:
    async def found(query: str) -> bool:
        page = await desk.browser.get(f"{desk.path}?{query}")
        assert page.status_code == 200
        return desk.at in page.text

    secret = await stored(desk.world.store, desk.made.secret)
    assert await found(f"q={secret.name[:3].upper()}")
    assert not await found("q=nothing-like-it")
    assert await found("state=ready")
    assert not await found("state=error")
    assert not await found("state=scopes")
    assert await found("state=nonsense")
    assert await found(f"auth_client={desk.made.client.id}")
    assert not await found("auth_client=" + "0" * 24)
    assert not await found("component=" + "0" * 24)
    component_id = await desk.link()
    assert await found(f"component={component_id}")
    page = await desk.browser.get(f"{desk.path}?q=nothing-like-it")
    assert "No connection fits these filters" in page.text


async def test_an_empty_workspace_says_what_to_do_next(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    path = f"/console/workspaces/{acme.workspace_id}"
    page = await (await signed_in(keyrack, acme.integrator, acme.id)).get(path)
    assert "Nothing is connected yet" in page.text
    assert f'href="{path}/connect"' in page.text
    page = await (await signed_in(keyrack, acme.guest, acme.id)).get(path)
    assert "Nothing is connected yet" in page.text
    assert f'href="{path}/connect"' not in page.text


async def test_testing_asks_the_provider_whose_account_it_is(desk: Desk, simulator: RunningSimulator) -> None:
    await desk.browser.get(desk.at)
    page = await desk.browser.post(f"{desk.at}/test")
    assert page.status_code == 200
    assert "The provider renewed the token just now" in page.text
    uri = f"{simulator.base_url}/api/me"
    await change(desk.world.store, desk.made.secret, userinfo_uri=uri)
    page = await desk.browser.post(f"{desk.at}/test")
    assert "The provider took the token just now" in page.text
    found = await stored(desk.world.store, desk.made.secret)
    assert found.account.subject is not None
    told = [each["action"] for each in await desk.audited()]
    assert told.count("secret.test") == 2
    guest = await desk.as_("guest")
    await guest.get(desk.at)
    assert f"{desk.at}/test" not in guest.page.text
    assert (await guest.post(f"{desk.at}/test")).status_code == 403


async def test_a_test_that_fails_says_why_in_the_provider_s_words(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    made = await connect_raw(keyrack, raw_provider, age=0, userinfo_uri=f"{raw_provider.url}/me")
    browser = await signed_in(keyrack, acme.integrator, acme.id)
    at = f"/console/workspaces/{acme.workspace_id}/connections/{made.secret.id}"
    said = json.dumps({"error": "no_such_user", "error_description": "<b>gone</b> at-1"})
    cases = [
        ([json_answer(said, "403 Forbidden")], "does not let it read whose account it is", "no_such_user"),
        ([json_answer(said, "500 Oops")], "answer does not tell (status 500)", "no_such_user"),
        ([json_answer(said, "401 No"), json_answer(said, "400 Bad")], "refuse", "no_such_user"),
    ]
    for answers, ours, theirs in cases:
        raw_provider.answers = list(answers)
        await browser.get(at)
        page = await browser.post(f"{at}/test")
        assert page.status_code == 200
        assert ours in page.text, page.text
        assert theirs in page.text
        assert "<b>gone" not in page.text
        assert "at-1" not in page.text


async def test_renaming_keeps_what_was_typed_when_it_is_refused(desk: Desk) -> None:
    await desk.browser.get(desk.at)
    answer = await desk.browser.post(f"{desk.at}/rename", name="Mailbox of Nora")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{desk.at}?done=renamed")
    assert "Mailbox of Nora" in (await desk.browser.get(answer.headers["location"])).text
    page = await desk.browser.post(f"{desk.at}/rename", name=HOSTILE)
    assert page.status_code == 400
    assert "must have 1 to 255 characters" in page.text
    assert (await desk.browser.post(f"{desk.at}/rename", name="  ")).status_code == 400
    guest = await desk.as_("guest")
    await guest.get(desk.at)
    assert f"{desk.at}/rename" not in guest.page.text
    assert (await guest.post(f"{desk.at}/rename", name="x")).status_code == 403
    assert (await stored(desk.world.store, desk.made.secret)).name == "Mailbox of Nora"


async def test_reading_a_token_needs_the_permission_and_a_press_and_is_audited(desk: Desk) -> None:
    token = desk.made.secret.credentials["access_token"]
    assert token not in (await desk.browser.get(desk.at)).text
    assert (await desk.browser.get(f"{desk.at}/disclose")).status_code == 405
    page = await desk.browser.post(f"{desk.at}/disclose")
    assert page.status_code == 200
    assert token in page.text
    assert page.headers["cache-control"] == "no-store"
    (event,) = [each for each in await desk.audited() if each["action"] == "secret.disclose"]
    assert (event["target"]["id"], event["actor"]) == (desk.made.secret.id, desk.world.tenants["Acme"].integrator.name)
    guest = await desk.as_("guest")
    await guest.get(desk.at)
    assert "disclose" not in guest.page.text
    refused = await guest.post(f"{desk.at}/disclose")
    assert refused.status_code == 403
    assert token not in refused.text


async def test_renewing_by_hand(desk: Desk) -> None:
    await desk.browser.get(desk.at)
    answer = await desk.browser.post(f"{desk.at}/refresh")
    assert answer.headers["location"] == f"{desk.at}?done=refreshed"
    assert (await stored(desk.world.store, desk.made.secret)).credentials != desk.made.secret.credentials
    await change(desk.world.store, desk.made.secret, credentials={**desk.made.secret.credentials, "refresh_token": "x"})
    page = await desk.browser.post(f"{desk.at}/refresh")
    assert page.status_code == 200
    assert "invalid_grant" in page.text
    guest = await desk.as_("guest")
    await guest.get(desk.at)
    assert (await guest.post(f"{desk.at}/refresh")).status_code == 403


async def test_deleting_names_what_it_hits_and_waits_for_a_second_press(desk: Desk) -> None:
    await desk.link()
    acme = desk.world.tenants["Acme"]
    node = {"id": "step_1", "command": "acme/mail:run", "name": "", "description": "", "secret_id": desk.made.secret.id}
    attributes: dict[str, Any] = {"name": "Invoices <b>", "type": "ordinary", "default_mapper_type": "jsonata"}
    attributes["graph"] = {"nodes": [node]}
    data: dict[str, Any] = {"type": "flow", "attributes": attributes}
    data["relationships"] = {"workspace": relationship("workspace", acme.workspace_id)}
    made = await acme.integrator.post("/v2/flows", {"data": data})
    assert made.status_code == 201, made.text
    page = await desk.browser.get(desk.at)
    assert "Invoices &lt;b&gt;" in page.text
    assert "Invoices &lt;b&gt;" in (await desk.browser.get(f"{desk.at}?flow=VOICES")).text
    page = await desk.browser.get(f"{desk.at}?flow=other")
    assert "Invoices &lt;b&gt;" not in page.text
    assert "No flow that uses it has this" in page.text
    page = await desk.browser.get(f"{desk.at}/delete?flow=other")
    assert "1 flow uses" in page.text
    assert "Invoices &lt;b&gt;" in page.text
    assert re.search(r"Delete the connection “", page.text)
    answer = await desk.browser.post(f"{desk.at}/delete")
    assert answer.headers["location"] == f"{desk.path}?done=deleted"
    assert (await desk.browser.get(desk.at)).status_code == 404
    assert (await desk.browser.post(f"{desk.at}/delete")).status_code == 404
