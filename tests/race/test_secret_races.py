"""An auth client, a secret and a flow that come and go at once never miss each other (contract 14.3, 15.2).

Each row is played on both databases and in both orders, with the first of the two stopped in mid-transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.flows import FlowRows, FlowSecrets
from support.app import Request, World, error_of
from support.flows import flow_body, graph_of, node
from support.secrets import add_client, body, changes, make, resource
from support.waits_and_faults import in_turn

CALENDAR = {"title": "Calendar", "authClientTypes": ["oauth2"], "triggers": {"due": {"title": "Due"}}}


class Stage:
    """Globex with an auth client without secrets, a secret, an inactive flow with it, and an active one without."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.globex = world.tenants["Globex"]
        self.who = self.globex.integrator
        self.secrets = f"/v2/workspaces/{self.globex.workspace_id}/secrets"

    async def build(self) -> None:
        component = await self.world.add_component(self.globex, "calendar", CALENDAR)
        client = await add_client(self.world, self.globex, components=(component,))
        self.free = await add_client(self.world, self.globex, components=(component,))
        self.everyones = await add_client(self.world, None, components=(component,), scope="global")
        self.support = await self.world.add_service_account("global.auth_clients.delete")
        self.secret = (await make(self.who, self.globex.workspace_id, client))["id"]
        other = (await make(self.who, self.globex.workspace_id, client))["id"]
        self.flow = await self._flow(self.secret)
        self.active = await self._flow(other)
        assert (await self.who.post(f"/v2/flows/{self.active}/start")).status_code == 202

    async def _flow(self, secret_id: str) -> str:
        graph = graph_of(node("globex/calendar:due", secret_id=secret_id))
        answer = await self.who.post("/v2/flows", flow_body(self.globex.workspace_id, graph=graph))
        found: str = resource(answer, 201)["id"]
        return found

    def create_secret(self) -> Request:
        return self.who.post(self.secrets, body(self.free))

    def create_secret_of_everyones(self) -> Request:
        return self.who.post(self.secrets, body(self.everyones))

    def start_flow(self) -> Request:
        return self.who.post(f"/v2/flows/{self.flow}/start")

    def change_flow(self) -> Request:
        graph = graph_of(node("globex/calendar:due", secret_id=self.secret))
        changed = {"type": "flow", "id": self.active, "attributes": {"graph": graph}}
        return self.who.patch(f"/v2/flows/{self.active}", {"data": changed})

    def delete_client(self) -> Request:
        return self.who.delete(f"/v2/auth-clients/{self.free}")

    def delete_everyones_client(self) -> Request:
        return self.support.delete(f"/v2/auth-clients/{self.everyones}")

    def delete_secret(self) -> Request:
        return self.who.delete(f"{self.secrets}/{self.secret}")


@dataclass(frozen=True)
class Race:
    """Who uses, who deletes, where each of them stands still, and what a user who comes too late is told."""

    use: Callable[[Stage], Request]
    stop_use_at: tuple[type, str]
    delete: Callable[[Stage], Request]
    stop_delete_at: tuple[type, str]
    too_late: tuple[int, str]


ATTACH, CLIENT, SECRET = (AuthSecrets, "add"), (AuthClientRows, "remove"), (AuthSecrets, "remove")
INDEX, START = (FlowSecrets, "replace"), (FlowRows, "set_status")
NO_CLIENT = (404, "related_not_found")
RACES = {
    "14.3 client, secret created": Race(Stage.create_secret, ATTACH, Stage.delete_client, CLIENT, NO_CLIENT),
    "14.3 global client, secret created": Race(
        Stage.create_secret_of_everyones, ATTACH, Stage.delete_everyones_client, CLIENT, NO_CLIENT
    ),
    "15.2 secret, flow started": Race(Stage.start_flow, START, Stage.delete_secret, SECRET, (409, "state_conflict")),
    "15.2 secret, active flow changed": Race(
        Stage.change_flow, INDEX, Stage.delete_secret, SECRET, (400, "validation_error")
    ),
}


@pytest.fixture
async def stage(keyrack_on_each: World) -> Stage:
    built = Stage(keyrack_on_each)
    await built.build()
    return built


@pytest.fixture(params=list(RACES.values()), ids=list(RACES))
def race(request: pytest.FixtureRequest) -> Race:
    found: Race = request.param
    return found


async def test_a_deletion_waits_for_whoever_came_first_and_is_refused(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, deleting = await in_turn(monkeypatch, race.stop_use_at, race.use(stage), race.delete(stage))
    assert used.is_success, used.text
    assert error_of(deleting)[:2] == (409, "in_use")


async def test_whoever_comes_after_a_deletion_waits_and_finds_it_gone(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, using = await in_turn(monkeypatch, race.stop_delete_at, race.delete(stage), race.use(stage))
    assert deleted.status_code == 204, deleted.text
    assert error_of(using)[:2] == race.too_late


async def test_changes_at_once_are_merged_one_after_the_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{stage.secrets}/{stage.secret}"
    first, second = await in_turn(
        monkeypatch,
        (AuthSecrets, "replace"),
        stage.who.patch(path, changes(credentials={"scope": "read"})),
        stage.who.patch(path, changes(credentials={"fields": {"region": "eu"}})),
    )
    assert [first.status_code, second.status_code] == [200, 200]
    credentials = resource(await stage.who.get(path))["attributes"]["credentials"]
    assert (credentials["scope"], credentials["fields"]) == ("read", {"region": "eu"})
