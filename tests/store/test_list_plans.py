"""Every list is found by an index: no statement of one reads a big table from end to end, on either database."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

import pytest

from keyrack import store as store_package
from keyrack.ids import new_id
from keyrack.model.audit import AuditFilter, AuditPosition
from keyrack.model.clients import ANY_CLIENT, AuthClient, AuthClientFilter, ClientFilter
from keyrack.model.components import ClientNeed
from keyrack.model.events import DeliveryState, EventType
from keyrack.model.identity import PrincipalKind
from keyrack.model.secrets import SecretFilter, SecretState
from keyrack.store.accounts import ApiKeys
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_list import AuthClientList, KnownScopes
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_needs import ComponentNeeds
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.component_visibility import Viewpoint
from keyrack.store.components import ComponentRows
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.statements import CompiledStatement
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.deleted_clients import DeletedClients
from keyrack.store.deliveries import Deliveries
from keyrack.store.directory import Location
from keyrack.store.flow_list import FlowFilter, FlowList
from keyrack.store.flows import FlowVersions
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.outbox import Outbox
from keyrack.store.schema import metadata
from keyrack.store.secret_list import SecretList
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.teams import TeamRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import World, settings_for, world
from support.crowd import KINDS, RARE_COMPONENT, Home, analyze, crowd
from support.statements_seen import statements_seen

MANY, FEW = 3_000, 30
BIG = ("flows", "auth_secrets", "credentials", "components", "component_versions", "users", "contracts", "workspaces")
NAMES = ("page", "list", "available", "not_whitelisted", "stretch", "by_email")
"""What the store calls methods that return lists of resources."""


class Part(TypedDict):
    """A page."""

    limit: int
    offset: int


PAGE: Part = {"limit": 10, "offset": 10}
ENDING_AT = datetime(2026, 1, 1, tzinfo=UTC)
ENDING = ClientFilter(secret_expires_before=ENDING_AT)
FIRST: Part = {"limit": 10, "offset": 0}

BY_NEED = (ClientNeed.lacking, ClientNeed.served, ClientNeed.none)
EVERYWHERE = KnownScopes(everyones=True, tenants=True, all_contracts=True, all_workspaces=True)

Ask = Callable[[Unit, Home], Awaitable[Any]]


def flows(**wanted: Any) -> Ask:
    return lambda u, h: FlowList(u).page(h.workspace_id, FlowFilter(**wanted), **PAGE)


def secrets(**wanted: Any) -> Ask:
    return lambda u, h: SecretList(u).page(h.workspace_id, SecretFilter(**wanted), **PAGE)


def part(view: Callable[[Home], ComponentFilter]) -> Ask:
    return lambda u, h: ComponentList(u).page(view(h), **PAGE)


def audit(unit: Unit, wanted: AuditFilter = AuditFilter(), begin: AuditPosition | None = None) -> Awaitable[Any]:  # noqa: B008 - it cannot be changed
    return AuditLog(unit).stretch(wanted, begin, newest_first=True, limit=10)


def narrowed(name: str) -> Ask:
    return lambda u, _: audit(u, AuditFilter(**{name: "x" * 24}))  # type: ignore[arg-type]


LISTS: Sequence[tuple[str, Ask]] = [
    ("FlowList.page", flows()),
    ("FlowList.page", flows(status="active")),
    ("FlowList.page", flows(type="long_running")),
    ("FlowList.page", flows(user_id="u" * 24)),
    ("FlowList.page", flows(has_draft=True)),
    ("FlowList.page", flows(search="needle", sort="-name")),
    ("FlowList.page", flows(sort="-updated_at")),
    ("SecretList.page", secrets()),
    ("SecretList.page", secrets(user_id="u" * 24)),
    ("SecretList.page", secrets(auth_client_id="u" * 24)),
    ("SecretList.page", secrets(state=SecretState.error)),
    ("SecretList.page", secrets(scopes_missing=True)),
    ("SecretList.page", secrets(component_id=RARE_COMPONENT)),
    ("SecretList.page", secrets(named="n")),
    ("ConnectLinkRows.page", lambda u, h: ConnectLinkRows(u).page(h.workspace_id, h.user_id, **PAGE)),
    ("FlowList.using", lambda u, h: FlowList(u).using(h.workspace_id, secret_id="a" * 24, **PAGE)),
    ("SecretList.page", lambda u, _: SecretList(u).page(None, SecretFilter(), **PAGE)),
    ("CredentialRows.page", lambda u, h: CredentialRows(u).page(h.workspace_id, None, with_keys=True, **PAGE)),
    (
        "CredentialRows.page",
        lambda u, h: CredentialRows(u).page(h.workspace_id, RARE_COMPONENT, with_keys=True, **PAGE),
    ),
    ("DeletedClients.list", lambda u, _: DeletedClients(u).list()),
    ("OAuthClientRows.page", lambda u, _: OAuthClientRows(u).page(ANY_CLIENT, **PAGE)),
    ("OAuthClientRows.page", lambda u, _: OAuthClientRows(u).page(ENDING, **PAGE)),
    ("AuthClientRows.available", lambda u, h: AuthClientRows(u).available(at(h), ANY_CLIENT, **PAGE)),
    ("AuthClientRows.available", lambda u, h: AuthClientRows(u).available(at(h), ENDING, **PAGE)),
    ("AuthClientList.page", lambda u, _: AuthClientList(u).page(EVERYWHERE, AuthClientFilter(), **PAGE)),
    ("AuthClientList.page", lambda u, _: AuthClientList(u).page(EVERYWHERE, AuthClientFilter(search="a"), **PAGE)),
    ("AuthClientList.page", lambda u, h: AuthClientList(u).page(within(h), AuthClientFilter(), **PAGE)),
    (
        "AuthClientList.page",
        lambda u, _: AuthClientList(u).page(
            EVERYWHERE, AuthClientFilter(secret_expires_before=ENDING.secret_expires_before), **PAGE
        ),
    ),
    ("ComponentNeeds.page", lambda u, _: ComponentNeeds(u).page(BY_NEED, "", **PAGE)),
    ("ComponentNeeds.page", lambda u, _: ComponentNeeds(u).page(BY_NEED, "crowd", **PAGE)),
    ("ComponentRows.list", lambda u, _: ComponentRows(u).list(["a" * 24, "b" * 24])),
    ("ComponentList.page", part(lambda _: ComponentFilter())),
    ("ComponentList.page", part(lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id)))),
    ("ComponentList.page", part(lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id, True)))),
    ("ComponentList.page", part(lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id), own=True))),
    ("ComponentList.page", part(lambda h: ComponentFilter(named_in=h.workspace_id))),
    (
        "ComponentList.not_whitelisted",
        lambda u, h: ComponentList(u).not_whitelisted(Viewpoint(h.tenant_id, h.contract_id, True), ["a" * 24]),
    ),
    ("ComponentVersions.page", lambda u, _: ComponentVersions(u).page("a" * 24, **PAGE)),
    ("LinkedIdentities.page", lambda u, _: LinkedIdentities(u).page(**PAGE)),
    ("UserRows.page", lambda u, _: UserRows(u).page(**PAGE)),
    ("UserRows.page", lambda u, _: UserRows(u).page(email="some@body.example", **PAGE)),
    ("ContractRows.page", lambda u, _: ContractRows(u).page(member=None, **PAGE)),
    ("ContractRows.page", lambda u, h: ContractRows(u).page(member=h.user_id, **PAGE)),
    ("ContractMembers.list", lambda u, h: ContractMembers(u).list(h.contract_id)),
    ("ContractMembers.page", lambda u, h: ContractMembers(u).page(h.contract_id, **PAGE)),
    ("WorkspaceRows.page", lambda u, _: WorkspaceRows(u).page(contract_id=None, member=None, **PAGE)),
    ("WorkspaceRows.page", lambda u, h: WorkspaceRows(u).page(contract_id=h.contract_id, member=h.user_id, **PAGE)),
    ("WorkspaceMembers.list", lambda u, h: WorkspaceMembers(u).list(h.workspace_id)),
    ("WorkspaceMembers.page", lambda u, h: WorkspaceMembers(u).page(h.workspace_id, **PAGE)),
    ("TeamRows.page", lambda u, h: TeamRows(u).page(h.contract_id, **PAGE)),
    ("FlowVersions.page", lambda u, _: FlowVersions(u).page("a" * 24, **PAGE)),
    ("AuditLog.page", lambda u, _: AuditLog(u).page({}, None, None, **PAGE)),
    ("AuditLog.stretch", lambda u, _: audit(u)),
    ("AuditLog.stretch", lambda u, _: audit(u, begin=AuditPosition(ENDING_AT, "a" * 24))),
    *(
        ("AuditLog.stretch", narrowed(name))
        for name in ("actor", "action", "target_id", "outcome", "address", "request_id")
    ),
    ("Outbox.page", lambda u, _: Outbox(u).page(None, **PAGE)),
    ("Deliveries.page", lambda u, _: Deliveries(u).page("a" * 24, None, **PAGE)),
    ("Outbox.stretch", lambda u, _: Outbox(u).stretch(EventType.secret_failed, None, newest_first=True, limit=10)),
    (
        "Deliveries.stretch",
        lambda u, _: Deliveries(u).stretch("a" * 24, DeliveryState.failed, "b" * 24, newest_first=True, limit=10),
    ),
    ("UserRows.by_email", lambda u, _: UserRows(u).by_email("", "m", backwards=False, limit=10)),
    ("UserRows.by_email", lambda u, _: UserRows(u).by_email("some", "someone", backwards=True, limit=10)),
    ("ApiKeys.page", lambda u, h: ApiKeys(u).page(PrincipalKind.user, h.user_id, **PAGE)),
]
"""What lists, and how."""

NOT_ASKED = {"RolePolicy", "WebhookRows", "ContractInvites", "RoleUses"}
"""Small by nature: a tenant's roles and webhooks, a contract's open invites. `RoleUses` looks at a whole tenant, for
the rare change of its roles."""


def within(home: Home) -> KnownScopes:
    """Return what somebody knows of who has a role in one contract and one workspace."""
    places = frozenset({home.contract_id})
    return KnownScopes(contract_ids=places, workspaces_of=places, workspace_ids=frozenset({home.workspace_id}))


def at(home: Home) -> Location:
    return Location(home.tenant_id, home.contract_id, home.workspace_id)


def test_every_list_of_the_store_has_a_row() -> None:
    found = set()
    for module in pkgutil.walk_packages(store_package.__path__, "keyrack.store."):
        if ".migrations" in module.name:
            continue
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, TenantTable) and cls is not TenantTable and cls.__module__ == module.name:
                found |= {f"{name}.{method}" for method in NAMES if method in vars(cls)}
    listed = {name for name, _ in LISTS}
    assert {name for name in found if name.split(".")[0] not in NOT_ASKED} - listed == set()


def test_what_a_deletion_looks_for_is_indexed() -> None:
    """Deleting a row looks for what refers to it, so the referring column leads an index; a tenant goes last of all."""
    missing = set()
    for table in metadata.tables.values():
        leading = {next(iter(index.columns)).name for index in table.indexes}
        for constraint in table.constraints:
            columns = list(getattr(constraint, "columns", []))
            if columns and type(constraint).__name__ in ("PrimaryKeyConstraint", "UniqueConstraint"):
                leading.add(columns[0].name)
        referring = {key.parent.name for key in table.foreign_keys} - {"tenant_id"}
        missing |= {f"{table.name}.{column}" for column in referring - leading}
    assert missing == set()


@dataclass
class Scene:
    """A small workspace in a database where another tenant has thousands of rows of everything."""

    world: World
    small: Home
    big: Home


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url_of_file: str | None) -> AsyncIterator[Scene]:
    homes = {}
    async with world(settings_for(tmp_path_factory.mktemp("plans"), database_url_of_file)) as keyrack:
        for name, count in (("Acme", MANY), ("Globex", FEW)):
            tenant = keyrack.tenants[name]
            client = AuthClient(new_id(), tenant.id, None, None, "n", "oauth2", {"v": 1}, ())
            async with keyrack.store.unit(tenant.id, writes=True) as unit:
                await AuthClientRows(unit).add(client, None)
            ids = (tenant.id, tenant.contract_id, tenant.workspace_id, tenant.integrator.id, tenant.team_id)
            homes[name] = Home(*ids, client.id, tenant.guest.id)
            for kind in KINDS:
                await crowd(keyrack.store, homes[name], kind, count)
        await analyze(keyrack.store)
        yield Scene(keyrack, homes["Globex"], homes["Acme"])


async def test_no_list_reads_a_table_from_end_to_end(scene: Scene) -> None:
    found = []
    for name, ask in LISTS:
        for plan in await plans(scene.world, scene.small, ask):
            found += [(name, line) for line in plan if any(reads_all_of(table, line) for table in BIG)]
    assert found == []


async def test_an_index_gives_the_order_of_a_big_workspace(scene: Scene) -> None:
    for sort in (None, "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"):

        async def first(unit: Unit, home: Home, sort: str | None = sort) -> Any:
            return await FlowList(unit).page(home.workspace_id, FlowFilter(sort=sort), **FIRST)

        rows, _count = await plans(scene.world, scene.big, first)
        assert not [line for line in rows if "Sort" in line or "TEMP B-TREE" in line], (sort, rows)


VIEWS: Sequence[tuple[str, Callable[[Home], ComponentFilter]]] = [
    ("contract", lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id))),
    ("private", lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id), own=True)),
    ("public", lambda h: ComponentFilter(had_at=Viewpoint(h.tenant_id, h.contract_id), own=False)),
    ("tenant", lambda _: ComponentFilter()),
]


@pytest.mark.parametrize("view", [view for _, view in VIEWS], ids=[name for name, _ in VIEWS])
async def test_components_are_found_and_counted_in_indexes_alone(
    keyrack: World, view: Callable[[Home], ComponentFilter]
) -> None:
    """SQLite says so whatever is stored; PostgreSQL goes by statistics."""
    t = keyrack.tenants["Acme"]
    home = Home(t.id, t.contract_id, t.workspace_id, t.integrator.id, t.team_id, "", t.guest.id)
    await crowd(keyrack.store, home, "components", FEW)
    page, count, *_ = await plans(keyrack, home, lambda u, h: ComponentList(u).page(view(h), limit=1, offset=1))
    looked_at = [line for line in page + count if " components " in line]
    of_the_page = [line for line in looked_at if "(id=?)" in line]
    assert len(of_the_page) == 1
    assert set(looked_at) - set(of_the_page) != set()
    assert [line for line in looked_at if "USING COVERING INDEX" not in line] == of_the_page
    assert not [line for line in count if "TEMP B-TREE" in line], count


BY_GROUP: Sequence[tuple[str, Ask]] = [
    ("components", lambda u, _: ComponentNeeds(u).page(BY_NEED, "", limit=1, offset=1)),
    ("components", lambda u, _: ComponentNeeds(u).page(BY_NEED, "crowd", limit=1, offset=1)),
    ("auth_clients", lambda u, _: AuthClientList(u).page(EVERYWHERE, AuthClientFilter(), limit=1, offset=1)),
    ("auth_clients", lambda u, _: AuthClientList(u).page(EVERYWHERE, AuthClientFilter(search="a"), limit=1, offset=1)),
]


@pytest.mark.parametrize(("table", "ask"), BY_GROUP)
async def test_lists_in_groups_are_counted_and_put_in_order_by_indexes_alone(
    keyrack: World, table: str, ask: Ask
) -> None:
    """SQLite says so whatever is stored; only the rows of the page itself are read from the table."""
    t = keyrack.tenants["Acme"]
    home = Home(t.id, t.contract_id, t.workspace_id, t.integrator.id, t.team_id, "", t.guest.id)
    await crowd(keyrack.store, home, "components", FEW)
    client = AuthClient(new_id(), t.id, None, None, "an", "oauth2", {"v": 1}, ())
    async with keyrack.store.unit(t.id, writes=True) as unit:
        await AuthClientRows(unit).add(client, None)
    *keys_and_counts, _of_the_page = await plans(keyrack, home, ask)
    looked_at = [line for plan in keys_and_counts for line in plan if f" {table} " in line]
    assert looked_at
    assert [line for line in looked_at if "USING COVERING INDEX" not in line] == []
    assert [line for plan in keys_and_counts for line in plan if "TEMP B-TREE" in line] == []


def reads_all_of(table: str, line: str) -> bool:
    """A sequential scan, or one along a whole index: SQLite says SEARCH where it looks something up."""
    line = line.strip().removeprefix("->").strip()
    return line.startswith((f"Seq Scan on {table} ", f"Parallel Seq Scan on {table} ", f"SCAN {table} ")) or (
        line == f"SCAN {table}"
    )


async def plans(world: World, home: Home, ask: Ask) -> list[list[str]]:
    """Run something and return the plan of each of its statements."""
    async with world.store.unit(home.tenant_id) as unit:
        ran: list[tuple[str, Sequence[Any]]] = []
        with statements_seen(lambda _connection, text, values: ran.append((text, values))):
            await ask(unit, home)
        word = "EXPLAIN" if unit.connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        found = []
        for statement, parameters in ran:
            explained = CompiledStatement(f"{word} {statement}", (), {}, {}, tuple, returns_rows=True)
            rows = (await unit.connection._run(explained, explained.text, parameters, scans=True)).all()
            found.append([str(row[-1]) for row in rows])
    assert found, "nothing was asked"
    return found
