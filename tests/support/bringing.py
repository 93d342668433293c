"""Brings files of other systems into an installation of a test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.cutover import Cutover
from keyrack.service.importers.other_systems.bringing import Bringing
from keyrack.service.importers.other_systems.brought_clients import ClientBringer
from keyrack.service.importers.other_systems.brought_grants import GrantBringer
from keyrack.service.importers.other_systems.entries import EntryResult, OtherSystem
from keyrack.service.importers.other_systems.json_objects import objects
from keyrack.service.importers.other_systems.results import Import
from keyrack.service.importers.other_systems.target import Destination, MappingFile, Target
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.import_batches import ImportBatch
from support.app import World


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
