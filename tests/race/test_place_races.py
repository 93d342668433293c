"""A contract or workspace that is deleted, suspended or changed while something is written in it (contract 9, 10, 22).

Each row is played on both databases and in both orders, with the first of the two stopped in mid-transaction.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.components import ComponentRows
from keyrack.store.consents import ConsentRows
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.credentials import CredentialRows
from keyrack.store.flows import FlowReferences, FlowRows
from keyrack.store.schema import metadata, revocations
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import Request, World, error_of, relationship
from support.auth_clients import auth_client
from support.consent import add_oauth_client, oauth_component, start
from support.flows import flow_body, site, turn_whitelist_on
from support.secrets import add_client, body
from support.waits_and_faults import in_turn

DESCRIPTOR = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
TIMER = {"title": "Timer", "triggers": {"tick": {"title": "Tick"}}}


class Stage:
    """Acme with a site, a contract of Globex that can use Acme's shared component, and clients all around."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acme, self.globex = world.tenants["Acme"], world.tenants["Globex"]

    async def build(self) -> None:
        self.site = await site(self.world, self.acme, "own")
        self.shared = await self.world.add_component(self.acme, "shared", TIMER, access="global")
        self.foreign = await self.world.add_component(self.globex, "foreign", TIMER, access="global")
        self.oauth = await self.world.add_component(self.acme, "oauth", DESCRIPTOR)
        await add_oauth_client(self.world, "Acme", self.oauth, "id", "shh")
        self.tenants_client = await add_client(self.world, self.acme, components=(self.site.second_id,), scope="tenant")
        assert (await self.acme.integrator.post(f"/v2/flows/{self.site.flow_id}/stop")).status_code == 202

    def create_flow(self) -> Request:
        return self.acme.integrator.post("/v2/flows", flow_body(self.acme.workspace_id, "acme/own-ledger:due"))

    def start_flow(self) -> Request:
        return self.acme.integrator.post(f"/v2/flows/{self.site.flow_id}/start")

    def create_secret(self) -> Request:
        return self.acme.integrator.post(f"/v2/workspaces/{self.acme.workspace_id}/secrets", body(self.tenants_client))

    def create_credential(self) -> Request:
        related = {
            "component": relationship("component", self.site.component_id),
            "workspace": relationship("workspace", self.acme.workspace_id),
        }
        return self.acme.integrator.post("/v2/credentials", {"data": {"type": "credential", "relationships": related}})

    def create_client(self) -> Request:
        place = ("workspace", self.acme.workspace_id)
        return self.acme.admin.post("/v2/auth-clients", auth_client([self.site.second_id], place))

    def start_consent(self) -> Request:
        return start(self.acme.integrator, self.acme.workspace_id, self.oauth)

    def create_component(self) -> Request:
        team = {"team": relationship("team", self.acme.team_id)}
        data = {"type": "component", "attributes": {"name": "new"}, "relationships": team}
        return self.acme.admin.post("/v2/components", {"data": data})

    def create_workspace(self) -> Request:
        contract = {"contract": relationship("contract", self.acme.contract_id)}
        data = {"type": "workspace", "attributes": {"name": "New"}, "relationships": contract}
        return self.acme.admin.post("/v2/workspaces", {"data": data})

    def join(self) -> Request:
        data = {"type": "contract-member", "id": self.acme.stranger.id, "attributes": {"roles": ["member"]}}
        return self.acme.admin.post(f"/v2/contracts/{self.acme.contract_id}/members", {"data": data})

    def whitelist(self) -> Request:
        listed = {"whitelisted_contract_ids": [self.acme.contract_id]}
        data = {"data": {"type": "component", "attributes": listed}}
        return self.acme.admin.patch(f"/v2/components/{self.foreign}", data)

    def use_from_elsewhere(self) -> Request:
        return self.globex.integrator.post("/v2/flows", flow_body(self.globex.workspace_id, "acme/shared:tick"))

    def delete_contract(self) -> Request:
        return self.acme.admin.delete(f"/v2/contracts/{self.acme.contract_id}")

    def delete_workspace(self) -> Request:
        return self.acme.admin.delete(f"/v2/workspaces/{self.acme.workspace_id}")

    def suspend(self) -> Request:
        return self.acme.admin.post(f"/v2/contracts/{self.acme.contract_id}/suspend")

    async def left(self, column: str, value: str) -> set[str]:
        """Return the tables with rows that have an id in a column of that name."""
        found = set()
        async with self.world.store.installation() as unit:
            for table in metadata.sorted_tables:
                if column in table.c and table is not revocations:
                    query = select(func.count()).select_from(table).where(table.c[column] == value)
                    if (await unit.connection.execute(query)).scalar_one():
                        found.add(table.name)
        return found


@dataclass(frozen=True)
class Race:
    """Who writes, where that stands still, who deletes, and what a writer who comes too late is told."""

    write: Callable[[Stage], Request]
    stop_at: tuple[type, str]
    delete: Callable[[Stage], Request]
    too_late: tuple[int, str]


GONE, RELATED = (404, "not_found"), (404, "related_not_found")
WORKSPACE, CONTRACT = Stage.delete_workspace, Stage.delete_contract
RACES = {
    "workspace, flow": Race(Stage.create_flow, (FlowRows, "add"), WORKSPACE, RELATED),
    "workspace, flow started": Race(Stage.start_flow, (FlowRows, "set_status"), WORKSPACE, GONE),
    "workspace, secret": Race(Stage.create_secret, (AuthSecrets, "add"), WORKSPACE, GONE),
    "workspace, credential": Race(Stage.create_credential, (CredentialRows, "add"), WORKSPACE, RELATED),
    "workspace, auth client": Race(Stage.create_client, (AuthClientRows, "add"), WORKSPACE, RELATED),
    "workspace, consent": Race(Stage.start_consent, (ConsentRows, "add"), WORKSPACE, GONE),
    "contract, flow": Race(Stage.create_flow, (FlowRows, "add"), CONTRACT, RELATED),
    "contract, secret": Race(Stage.create_secret, (AuthSecrets, "add"), CONTRACT, GONE),
    "contract, component": Race(Stage.create_component, (ComponentRows, "add"), CONTRACT, GONE),
    "contract, workspace": Race(Stage.create_workspace, (WorkspaceRows, "add"), CONTRACT, RELATED),
    "contract, member": Race(Stage.join, (ContractMembers, "add"), CONTRACT, GONE),
    "contract, whitelisted": Race(Stage.whitelist, (ComponentRows, "set_whitelist"), CONTRACT, RELATED),
}
"""Nothing of what is written forbids the deletion: it goes too."""


@pytest.fixture
async def stage(keyrack_on_each: World) -> Stage:
    built = Stage(keyrack_on_each)
    await built.build()
    return built


@pytest.fixture(params=list(RACES.values()), ids=list(RACES))
def race(request: pytest.FixtureRequest) -> Race:
    found: Race = request.param
    return found


async def nothing_is_left(stage: Stage, race: Race) -> None:
    assert await stage.left("workspace_id", stage.acme.workspace_id) == set()
    if race.delete is CONTRACT:
        assert await stage.left("contract_id", stage.acme.contract_id) == set()


async def test_a_deletion_waits_for_what_is_written_and_takes_it_along(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, deleted = await in_turn(monkeypatch, race.stop_at, race.write(stage), race.delete(stage))
    assert written.is_success, written.text
    assert deleted.status_code == 204, deleted.text
    await nothing_is_left(stage, race)


async def test_what_comes_after_a_deletion_waits_and_finds_the_place_gone(
    stage: Stage, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted, writing = await in_turn(
        monkeypatch,
        (ContractRows if race.delete is CONTRACT else WorkspaceRows, "remove"),
        race.delete(stage),
        race.write(stage),
    )
    assert deleted.status_code == 204, deleted.text
    assert error_of(writing)[:2] == race.too_late
    await nothing_is_left(stage, race)


async def test_a_flow_of_another_contract_that_comes_first_forbids_the_deletion(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, deleting = await in_turn(
        monkeypatch, (FlowReferences, "replace"), stage.use_from_elsewhere(), stage.delete_contract()
    )
    assert used.status_code == 201, used.text
    assert error_of(deleting)[:2] == (409, "in_use")
    assert (await stage.acme.integrator.get(f"/v2/flows/{stage.site.flow_id}")).status_code == 200


async def test_a_flow_of_another_contract_that_comes_late_finds_no_component(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting, using = await in_turn(
        monkeypatch, (ContractRows, "remove"), stage.delete_contract(), stage.use_from_elsewhere()
    )
    assert deleting.status_code == 204
    assert error_of(using)[:2] == (400, "validation_error")


async def test_a_flow_that_is_starting_is_stopped_by_the_suspension(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:  # 9
    starting, suspending = await in_turn(monkeypatch, (FlowRows, "set_status"), stage.start_flow(), stage.suspend())
    assert starting.status_code == 202
    assert suspending.status_code == 202
    flow = (await stage.acme.integrator.get(f"/v2/flows/{stage.site.flow_id}")).json()["data"]
    assert flow["attributes"]["status"] == "inactive"


@pytest.mark.parametrize("write", [Stage.start_flow, Stage.create_secret, Stage.create_component, Stage.start_consent])
async def test_what_comes_after_a_suspension_waits_and_is_refused(
    stage: Stage, write: Callable[[Stage], Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspending, writing = await in_turn(monkeypatch, (ContractRows, "change"), stage.suspend(), write(stage))
    assert suspending.status_code == 202
    assert error_of(writing)[:2] == (403, "contract_suspended")


async def test_a_role_given_at_the_moment_stays_available(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:  # 9
    path = f"/v2/workspaces/{stage.acme.workspace_id}/members/{stage.acme.guest.id}"
    given = {"data": {"type": "member", "attributes": {"roles": ["admin"]}}}
    contracts = [{"scope": "contracts", "role": role} for role in ("admin", "member")]
    roles = [*contracts, {"scope": "workspaces", "role": "integrator"}, {"scope": "workspaces", "role": "guest"}]
    narrowed = {"data": {"attributes": {"available_roles": roles}}}
    giving, narrowing = await in_turn(
        monkeypatch,
        (WorkspaceMembers, "change"),
        stage.acme.admin.patch(path, given),
        stage.acme.admin.patch(f"/v2/contracts/{stage.acme.contract_id}", narrowed),
    )
    assert giving.status_code == 200
    assert error_of(narrowing)[:2] == (409, "in_use")


async def test_a_flow_that_comes_first_keeps_a_workspace_limited(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:  # 10
    path = f"/v2/workspaces/{stage.acme.workspace_id}"
    kinds = {kind: {"data": {"type": "workspace", "attributes": {"type": kind}}} for kind in ("limited", "full")}
    await turn_whitelist_on(stage.world, stage.acme)
    assert (await stage.acme.admin.patch(path, kinds["limited"])).status_code == 200
    flow = flow_body(stage.acme.workspace_id, "globex/foreign:tick")
    creating, changing = await in_turn(
        monkeypatch,
        (FlowReferences, "replace"),
        stage.acme.integrator.post("/v2/flows", flow),
        stage.acme.admin.patch(path, kinds["full"]),
    )
    assert creating.status_code == 201
    assert error_of(changing)[:2] == (409, "in_use")


async def test_many_who_write_suspend_and_delete_at_once_never_break(keyrack_on_each: World) -> None:
    stage = Stage(keyrack_on_each)
    await stage.build()
    writers = [race.write for race in RACES.values()] + [Stage.use_from_elsewhere]
    closers = [Stage.suspend, Stage.delete_workspace, Stage.delete_contract, Stage.delete_contract]
    answers = await asyncio.gather(*(each(stage) for each in [*writers[:7], *closers, *writers[7:]]))
    told = [(answer.status_code, answer.text) for answer in answers if answer.status_code >= 500]
    assert told == []
