"""What a flow is about to use cannot be deleted at that moment, and the other way round (contract 0.1, 16, 22, 24.5).

Each row is played on both databases and in both orders, with the first of the two stopped in mid-transaction.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from keyrack.store.component_builds import ComponentVersions
from keyrack.store.components import ComponentRows
from keyrack.store.credentials import CredentialRows
from keyrack.store.flows import FlowReferences, FlowRows
from keyrack.store.oauth_clients import OAuthClientRows
from support.app import Request, World, error_of, relationship
from support.consent import add_oauth_client, oauth_component
from support.flows import flow_body, graph_of, node
from support.waits_and_faults import in_turn

DESCRIPTOR = oauth_component("https://login.example.com/auth", "https://login.example.com/token")


class Stage:
    """Acme's global component with Globex's client, a credential, and a flow of Globex that uses neither yet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acme, self.globex = world.tenants["Acme"], world.tenants["Globex"]

    async def build(self) -> None:
        self.component = await self.world.add_component(self.acme, "pizza-van", DESCRIPTOR, access="global")
        await self.world.add_component(self.globex, "timer", {"triggers": {"tick": {}}})
        self.client = await add_oauth_client(self.world, "Globex", self.component, "id", "secret")
        self.credential = await self.made("/v2/credentials", self._credential())
        self.plain = await self.made("/v2/flows", flow_body(self.globex.workspace_id, "globex/timer:tick"))

    async def with_credential(self) -> None:
        used = node("acme/pizza-van:run", credentials_id=self.credential)
        body = flow_body(self.globex.workspace_id, graph=graph_of(used))
        self.connected = await self.made("/v2/flows", body)

    async def made(self, path: str, body: dict[str, Any]) -> str:
        answer = await self.globex.integrator.post(path, body)
        assert answer.status_code == 201, answer.text
        identifier: str = answer.json()["data"]["id"]
        return identifier

    def _credential(self) -> dict[str, Any]:
        relationships = {
            "component": relationship("component", self.component),
            "workspace": relationship("workspace", self.globex.workspace_id),
        }
        return {"data": {"type": "credential", "relationships": relationships}}

    def create_flow(self) -> Request:
        return self.globex.integrator.post("/v2/flows", flow_body(self.globex.workspace_id, "acme/pizza-van:run"))

    def change_flow(self) -> Request:
        changed = {"type": "flow", "id": self.plain, "attributes": {"graph": graph_of(node("acme/pizza-van:run"))}}
        return self.globex.integrator.patch(f"/v2/flows/{self.plain}", {"data": changed})

    def put_draft(self) -> Request:
        draft = {"type": "flow-draft", "attributes": {"graph": graph_of(node("acme/pizza-van:run"))}}
        return self.globex.integrator.put(f"/v2/flows/{self.plain}/draft", {"data": draft})

    def start_flow(self) -> Request:
        return self.globex.integrator.post(f"/v2/flows/{self.connected}/start")

    def delete_client(self) -> Request:
        return self.globex.admin.delete(f"/v2/tenants/{self.globex.id}/oauth-clients/{self.client}")

    def delete_component(self) -> Request:
        return self.acme.admin.delete(f"/v2/components/{self.component}")

    def delete_build(self) -> Request:
        return self.acme.admin.delete(f"/v2/components/{self.component}/versions/latest")

    def delete_credential(self) -> Request:
        return self.globex.integrator.delete(f"/v2/credentials/{self.credential}")


@dataclass(frozen=True)
class Race:
    """Who uses, who deletes, where each of them stands still, and what a user who comes too late is told."""

    use: Callable[[Stage], Request]
    stop_use_at: tuple[type, str]
    delete: Callable[[Stage], Request]
    stop_delete_at: tuple[type, str]
    too_late: int


INDEX, START = (FlowReferences, "replace"), (FlowRows, "set_status")
CLIENT, COMPONENT = (OAuthClientRows, "remove"), (ComponentRows, "remove")
BUILD, CREDENTIAL = (ComponentVersions, "remove"), (CredentialRows, "remove")

RACES = {
    "0.1 client, flow created": Race(Stage.create_flow, INDEX, Stage.delete_client, CLIENT, 409),
    "0.1 client, flow changed": Race(Stage.change_flow, INDEX, Stage.delete_client, CLIENT, 409),
    "0.1 client, draft stored": Race(Stage.put_draft, INDEX, Stage.delete_client, CLIENT, 200),
    "22 component, flow created": Race(Stage.create_flow, INDEX, Stage.delete_component, COMPONENT, 400),
    "22 component, draft stored": Race(Stage.put_draft, INDEX, Stage.delete_component, COMPONENT, 200),
    "22 version, flow created": Race(Stage.create_flow, INDEX, Stage.delete_build, BUILD, 400),
    "16 credential, flow started": Race(Stage.start_flow, START, Stage.delete_credential, CREDENTIAL, 202),
}


@pytest.fixture
async def stage(keyrack_on_each: World, race: Race) -> Stage:
    built = Stage(keyrack_on_each)
    await built.build()
    if race.use is Stage.start_flow:
        await built.with_credential()
    return built


@pytest.fixture(params=list(RACES.values()), ids=list(RACES))
def race(request: pytest.FixtureRequest) -> Race:
    found: Race = request.param
    return found


async def test_a_deletion_waits_for_the_use_and_is_refused(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, deleting = await in_turn(monkeypatch, race.stop_use_at, race.use(stage), race.delete(stage))
    assert used.is_success, used.text
    assert error_of(deleting)[:2] == (409, "in_use")


async def test_a_use_waits_for_the_deletion_and_finds_it_gone(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting, used = await in_turn(monkeypatch, race.stop_delete_at, race.delete(stage), race.use(stage))
    assert deleting.status_code == 204
    assert used.status_code == race.too_late, used.text


async def test_keys_handed_back_at_once_are_all_kept(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(keyrack_on_each)  # 18.3
    await stage.build()
    path = f"/v1/accounts/{stage.credential}"
    first, second = await in_turn(
        monkeypatch,
        (CredentialRows, "replace"),
        stage.globex.integrator.put(path, {"keys": {"a": "1"}}),
        stage.globex.integrator.put(path, {"keys": {"b": "2"}}),
    )
    assert [first.status_code, second.status_code] == [200, 200]
    stored = (await stage.globex.integrator.get(f"/v2/credentials/{stage.credential}")).json()["data"]
    assert stored["attributes"]["keys"] == {"a": "1", "b": "2"}


async def test_every_change_of_a_flow_at_once_is_a_version(keyrack_on_each: World) -> None:  # 17
    stage = Stage(keyrack_on_each)
    await stage.build()
    answers = await asyncio.gather(*(stage.change_flow() for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10, [answer.text for answer in answers]
    versions = await stage.globex.integrator.get(f"/v2/flows/{stage.plain}/versions")
    assert versions.json()["meta"]["total"] == 11
    usage = await stage.globex.admin.get(f"/v2/tenants/{stage.globex.id}/oauth-clients/{stage.client}/usage")
    assert [flow["id"] for flow in usage.json()["data"]["attributes"]["flows"]] == [stage.plain]
