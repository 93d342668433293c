"""Brings files of other systems into an installation of a test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.cutover import Cutover
from keyrack.service.importers.other_systems.bringing import Bringing
from keyrack.service.importers.other_systems.brought_clients import ClientBringer
from keyrack.service.importers.other_systems.brought_grants import GrantBringer
from keyrack.service.importers.other_systems.entries import EntryResult, FoundClient, FoundGrant, OtherSystem
from keyrack.service.importers.other_systems.json_objects import Found, objects
from keyrack.service.importers.other_systems.results import Import
from keyrack.service.importers.other_systems.target import Destination, MappingFile, Target
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.import_batches import ImportBatch
from support.app import World
from support.grants import client_credentials, mint
from support.nango import lines


@dataclass
class Brought:
    """What became of a file."""

    batch: ImportBatch | None
    results: Sequence[EntryResult]
    fates: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Shorten the results: kind and external id, with the outcome."""
        self.fates = {f"{each.kind.value} {each.external_id}": each.outcome.value for each in self.results}

    def of(self, external_id: str) -> EntryResult:
        """Return the last result of an entry."""
        return [each for each in self.results if each.external_id == external_id][-1]

    @property
    def left_out(self) -> dict[str, str]:
        """Why each entry was not brought that was not, by its external id."""
        return {each.external_id: each.why for each in self.results if each.outcome.value == "left_out"}


class Elsewhere:
    """Another system whose grants `c-0`, `c-1`... are the simulator's.

    Args:
        simulator: the provider.
        expired: whether the access tokens have expired.
        count: how many grants.
    """

    source = "nango"

    def __init__(self, simulator: RunningSimulator, *, expired: bool = True, count: int = 3) -> None:
        self.expires = datetime.now(UTC) + timedelta(hours=-1 if expired else 1)
        self._uri = simulator.token_endpoint
        self.tokens = {f"c-{n}": mint(simulator) for n in range(count)}
        self.told_at = datetime.now(UTC) - timedelta(hours=2)

    def clients(self, found: Found) -> Any:
        if found.number == 1:
            yield FoundClient("sim", "sim", client_credentials(self._uri))

    def grants(self, found: Found) -> Any:
        name = str(found.value["name"])
        at = self.told_at
        yield FoundGrant(name, "sim", name, self.tokens[name], issued_at=at, expires_at=self.expires, told_at=at)


def file_of(tmp_path: Path, names: Iterable[str] = ("c-0", "c-1", "c-2")) -> Path:
    """Write what `Elsewhere` reads."""
    return lines(tmp_path / "elsewhere", ({"name": name} for name in names))


def bringing(world: World) -> Bringing:
    """Return what brings, as the command does."""
    rules, schedule = CredentialRules(allow_insecure=True), Schedule()
    clock = world.store.clock
    return Bringing(world.store, ClientBringer(rules, schedule.lead), GrantBringer(schedule, clock))


def wanted(
    world: World, tenant: str = "Acme", *, mapping: MappingFile | None = None, batch: str = "default", dry: bool = False
) -> Import:
    """Return what an import into the workspace of a tenant's admin is asked to do."""
    acme = world.tenants[tenant]
    usual = Destination(acme.workspace_id, acme.admin.id)
    return Import(Target(acme.id, usual, mapping or MappingFile()), batch, dry_run=dry)


async def bring(world: World, system: OtherSystem, file: Path, asked: Import | None = None) -> Brought:
    """Bring a file."""
    results: list[EntryResult] = []
    with file.open("rb") as first, file.open("rb") as second:
        files = iter((first, second))
        batch = await bringing(world).run(system, asked or wanted(world), lambda: objects(next(files)), results.append)
    return Brought(batch, results)


async def secret_of(world: World, brought: Brought, external_id: str, tenant: str = "Acme") -> AuthSecret:
    """Return the secret that a grant was made into, as it is stored now."""
    resource_id = brought.of(external_id).resource_id
    assert resource_id is not None
    async with world.store.unit(world.tenants[tenant].id) as unit:
        found = await AuthSecrets(unit).find(resource_id)
    assert found is not None
    return found


async def cut_over(world: World, batch: ImportBatch | None) -> int:
    """Cut an import over; return how many grants were let go."""
    assert batch is not None
    made = Cutover(world.store, world.store.clock)
    return sum([number async for number in made.of_batch(batch.id)])
