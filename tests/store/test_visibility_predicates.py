"""The predicates of contract section 5 against a plain reading of it, over random worlds.

They are in the product twice: as SQL for what is stored, here on both databases, and over values for a file that is
imported, which is judged before anything of it is stored.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.model.components import Component, ComponentAccess, Version, uses_oauth_client
from keyrack.model.tenancy import Tenant, Workspace, WorkspaceType
from keyrack.service.components.visibility import contract_view, workspace_view
from keyrack.service.importers.platform import visibility as of_file
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.unit import Unit
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows
from support.app import World

DESCRIPTORS: Sequence[dict[str, Any]] = (
    {"title": "plain"},
    {"useOAuthClient": True},
    {"credentials": {"useOAuthClient": True}},
    {"useOAuthClient": False, "credentials": {"useOAuthClient": True}},
    {"useOAuthClient": "true"},
    {"useOAuthClient": 1},
    {"useOAuthClient": None, "credentials": []},
    {"credentials": {"useOAuthClient": "yes"}},
)
MADE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Part:
    """A component as the contract's predicates speak of it."""

    id: str
    tenant: str
    contract: str
    access: str
    whitelisted: frozenset[str]
    builds: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Spot:
    """A contract, or a workspace of it where `kind` is set; `clients` are what its tenant has OAuth clients for."""

    tenant: str
    contract: str
    flag: bool
    clients: frozenset[str]
    workspace: str | None = None
    kind: str | None = None


Holds = Callable[[Part], bool]


def asks(c: Part) -> bool:
    if not c.builds:
        return False
    latest = c.builds[-1]
    inner = latest.get("credentials")
    return latest.get("useOAuthClient") is True or (isinstance(inner, dict) and inner.get("useOAuthClient") is True)


def tenant_sees(tenant: str, c: Part) -> bool:
    return c.access == "global" or c.tenant == tenant


def gate(k: Spot, c: Part) -> bool:
    return c.contract == k.contract or c.access != "global" or not asks(c) or c.id in k.clients


def ungated(k: Spot, c: Part) -> bool:
    return c.contract == k.contract or (c.access == "tenant" and c.tenant == k.tenant) or c.access == "global"


def contract_has(k: Spot, c: Part) -> bool:
    return ungated(k, c) and gate(k, c)


def listed(w: Spot, c: Part) -> bool:
    return not w.flag or w.kind == "limited" or c.contract == w.contract or w.contract in c.whitelisted


class Landscape:
    """Random contracts, workspaces and components in two tenants, in the store and as plain values."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.draw = random.Random(seed)
        self.parts: list[Part] = []
        self.contracts: list[tuple[str, str]] = []
        self.spots: list[Spot] = []

    async def make(self) -> None:
        tenants = [tenant.id for tenant in self.world.tenants.values()]
        for tenant in tenants:
            async with self.world.store.unit(tenant, writes=True) as unit:
                await self._tenant(unit)
        for tenant in tenants:
            async with self.world.store.unit(tenant, writes=True) as unit:
                await self._whitelists_and_clients(unit)

    async def _tenant(self, unit: Unit) -> None:
        for n in range(self.draw.randint(1, 3)):
            contract = await ContractRows(unit).add(f"contract {n}", [], {}, None)
            self.contracts.append((unit.tenant_id, contract))
            team = await TeamRows(unit).add(contract, f"team-{contract}")
            for index in range(self.draw.randint(0, 4)):
                await self._component(unit, contract, team, f"component-{index}")

    async def _component(self, unit: Unit, contract: str, team: str, name: str) -> None:
        component = await ComponentRows(unit).add(contract, team, name, {})
        access = self.draw.choice(["team", "tenant", "global", "global"])
        await ComponentRows(unit).set_access(component, ComponentAccess(access))
        builds: list[dict[str, Any]] = []
        for n in range(self.draw.randint(0, 3)):
            builds.append(self.draw.choice(DESCRIPTORS))
            await ComponentVersions(unit).add(component, f"revision-{n}", builds[-1])
        if builds and self.draw.random() < 0.4:
            await ComponentVersions(unit).remove(component, f"revision-{len(builds) - 1}")
            builds.pop()
        self.parts.append(Part(component, unit.tenant_id, contract, access, frozenset(), tuple(builds)))

    async def _whitelists_and_clients(self, unit: Unit) -> None:
        tenant = await TenantRows(unit).find(unit.tenant_id)
        assert tenant is not None
        flag = self.draw.random() < 0.6
        flags = {"feature_flags": {"contract_component_whitelist": flag}}
        await TenantRows(unit).change(replace(tenant, attributes={**tenant.attributes, **flags}))
        mine = [contract for owner, contract in self.contracts if owner == unit.tenant_id]
        clients = set()
        for index, part in enumerate(self.parts):
            if tenant_sees(unit.tenant_id, part) and self.draw.random() < 0.5:
                chosen = frozenset(contract for contract in mine if self.draw.random() < 0.5)
                await ComponentRows(unit).set_whitelist(part.id, sorted(chosen))
                self.parts[index] = replace(part, whitelisted=part.whitelisted | chosen)
            if self.draw.random() < 0.4:
                await OAuthClientRows(unit).add(part.id, "id", Secret("secret"))
                clients.add(part.id)
        for contract in mine:
            spot = Spot(unit.tenant_id, contract, flag, frozenset(clients))
            self.spots.append(spot)
            for kind in WorkspaceType:
                made = await WorkspaceRows(unit).add(contract, "w", kind, {})
                self.spots.append(replace(spot, workspace=made.id, kind=kind.value))

    def known(self, found: Sequence[str]) -> set[str]:
        """Leave out what other landscapes of the same installation have."""
        return set(found) & {part.id for part in self.parts}

    def where(self, *conditions: Holds) -> set[str]:
        return {part.id for part in self.parts if all(holds(part) for holds in conditions)}


@pytest.mark.parametrize("round_", range(2))
async def test_the_conditions_say_what_section_5_says(keyrack_on_each: World, round_: int) -> None:
    pairs = 0
    for seed in range(10 * round_, 10 * round_ + 10):
        land = Landscape(keyrack_on_each, seed)
        await land.make()
        for spot in land.spots:
            async with keyrack_on_each.store.unit(spot.tenant) as unit:
                await compare(unit, land, spot)
            pairs += len(land.parts)
    assert pairs > 500


async def whole(rows: ComponentList, wanted: ComponentFilter, draw: random.Random) -> Sequence[Component]:
    """Return a list that was read at once, after reading some page of it too, with the number of all."""
    found, total = await rows.page(wanted)
    assert total == len(found)
    assert [c.id for c in found] == sorted({c.id for c in found})
    offset, size = draw.randint(0, len(found)), draw.randint(1, 5)
    assert await rows.page(wanted, limit=size, offset=offset) == (found[offset : offset + size], total)
    return found


async def compare(unit: Unit, land: Landscape, spot: Spot) -> None:
    rows, every = ComponentList(unit), [part.id for part in land.parts]
    seen = await whole(rows, ComponentFilter(), land.draw)
    assert land.known([c.id for c in seen]) == land.where(lambda c: tenant_sees(spot.tenant, c))
    assert await ComponentRows(unit).seen_among(every) == land.where(lambda c: tenant_sees(spot.tenant, c))
    assert {c.id: c.uses_oauth_client for c in seen if c.id in every} == {
        c.id: asks(c) for c in land.parts if tenant_sees(spot.tenant, c)
    }
    tenant = await TenantRows(unit).find(spot.tenant)
    assert tenant is not None
    a_file_is_judged_as_what_is_stored(tenant, spot, land)
    view = contract_view(unit, spot.contract)
    if spot.workspace is not None:
        workspace = await WorkspaceRows(unit).find(spot.workspace)
        assert workspace is not None
        view = await workspace_view(unit, workspace)
    in_place: list[Holds] = [lambda c: contract_has(spot, c)]
    if spot.workspace is not None:
        in_place.append(lambda c: listed(spot, c))
    had = await whole(rows, ComponentFilter(had_at=view), land.draw)
    assert land.known([c.id for c in had]) == land.where(*in_place)
    own = await whole(rows, ComponentFilter(had_at=view, own=True), land.draw)
    assert {c.id for c in own} == land.where(*in_place, lambda c: c.contract == spot.contract)
    others = await whole(rows, ComponentFilter(had_at=view, own=False), land.draw)
    assert land.known([c.id for c in others]) == land.where(*in_place, lambda c: c.contract != spot.contract)
    if spot.workspace is None:
        foreign = next(contract for tenant, contract in land.contracts if tenant != spot.tenant)
        assert await rows.page(ComponentFilter(had_at=contract_view(unit, foreign), own=True), limit=5) == ([], 0)
    before_gate: list[Holds] = [lambda c: ungated(spot, c), *in_place[1:]]
    assert await rows.among(view, every) == {
        c.id: gate(spot, c) for c in land.parts if all(holds(c) for holds in before_gate)
    }
    if spot.workspace is not None:
        barred = land.where(lambda c: tenant_sees(spot.tenant, c), lambda c: not listed(spot, c))
        assert {c.id for c in await rows.not_whitelisted(view, every)} == barred


def a_file_is_judged_as_what_is_stored(tenant: Tenant, spot: Spot, land: Landscape) -> None:
    view = of_file.FileViewpoint(tenant, spot.contract, spot.clients)
    for part in land.parts:
        component = valued(part)
        assert of_file.tenant_sees(tenant.id, component) == tenant_sees(spot.tenant, part)
        assert of_file.contract_has_ungated(view, component) == ungated(spot, part)
        assert of_file.gate(view, component) == gate(spot, part)
        if spot.kind is not None:
            workspace = Workspace(str(spot.workspace), tenant.id, spot.contract, "w", WorkspaceType(spot.kind), {})
            had = of_file.workspace_has_ungated(view, workspace, component)
            assert had == (ungated(spot, part) and listed(spot, part))


def valued(part: Part) -> Component:
    """Return a component as an import makes it of a record."""
    builds = [Version("", part.id, number, MADE, build) for number, build in enumerate(part.builds)]
    return Component(
        id=part.id,
        tenant_id=part.tenant,
        contract_id=part.contract,
        team_id="",
        team_name="",
        name="",
        access=ComponentAccess(part.access),
        whitelisted_contract_ids=tuple(sorted(part.whitelisted)),
        attributes={},
        latest=builds[-1] if builds else None,
        uses_oauth_client=bool(builds) and uses_oauth_client(builds[-1].descriptor),
    )


async def test_a_member_has_what_some_contract_has(keyrack_on_each: World) -> None:  # 13.2, GET by id
    land = Landscape(keyrack_on_each, 99)
    await land.make()
    for tenant in keyrack_on_each.tenants.values():
        spots = [spot for spot in land.spots if spot.tenant == tenant.id and spot.workspace is None]
        async with keyrack_on_each.store.unit(tenant.id, writes=True) as unit:
            user = (await UserRows(unit).add(f"member@{tenant.id}.example", "A", "B")).id
            for joined in range(len(spots) + 1):
                if joined:
                    await ContractMembers(unit).add(spots[joined - 1].contract, user, ["member"])
                for part in land.parts:
                    expected = any(contract_has(spot, part) for spot in spots[:joined])
                    assert await ComponentList(unit).had_by_member(user, part.id) is expected
