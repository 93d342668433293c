"""`keyrack migrate env-vars`: makes OAuth clients of the keys that components have in their environment variables.

Which variables these are is said by the templates of the component's newest build. A component's variables are its
owner's: the client is made for the owner's tenant and no other, however many tenants the component is shared with. The
variables stay as they are, so that taking a client away again restores what was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from keyrack.clock import epoch_ms
from keyrack.crypto.secret import Secret
from keyrack.descriptor.link import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, linked_names
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import AlreadyExists, NotFound
from keyrack.model.components import Component, ComponentAccess
from keyrack.service.authz.operator import operator
from keyrack.service.clients.oauth_clients import unfit_client
from keyrack.store.audit_log import AuditLog
from keyrack.store.component_variables import ComponentEnvironment
from keyrack.store.components import ComponentRows
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.import_batches import ENVIRONMENT, ImportBatches, ImportEntries, ImportEntry
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.tenants import TenantRows

_KIND, _NAME, _AT_ONCE = "oauth-client", "default", 100
_PUBLIC = "none"
_NOT_YET = "the client is used once a build says useOAuthClient"
_EXISTS = "the tenant has a client for it, which counts"
_SHARED = "the component is shared: other tenants need clients of their own"


class ClientOutcome(StrEnum):
    """What became of a component's keys."""

    made = "made"
    existing = "existing"
    """The tenant has a client for the component, which counts."""
    skipped = "skipped"
    deleted = "deleted"
    """By the undo: what was there before is there again."""
    kept = "kept"
    """By the undo: somebody has changed it since, so that it is not what was made."""


@dataclass(frozen=True, slots=True)
class ComponentResult:
    """What became of a component's keys, without any of their values.

    Attributes:
        oauth_client_id: of the client; None if there is none, or it would be made.
        why: why it was skipped, or what else is to be known.
        unused: names of the variables that nothing reads any more: the client's values stand in their place.
    """

    tenant_id: str
    component_id: str
    component: str
    outcome: ClientOutcome
    oauth_client_id: str | None = None
    why: str = ""
    unused: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Keys:
    """A client's keys, and the variables that they are from."""

    client_id: str
    client_secret: Secret
    client_auth: str | None
    names: Sequence[str]


class _Unusable(Exception):
    """Variables hold no keys that could be used; the text says why."""


Tell = Callable[[ComponentResult], None]


class EnvironmentClients:
    """For whoever works on the machine itself. It can be interrupted at any time, and run again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, tenant_id: str | None, tell: Tell, *, applies: bool) -> None:
        """Make clients of the variables of all components, or tell which would be made.

        Args:
            tenant_id: only of components of this tenant; None: of all.
            tell: is told what became of each component that has keys.
            applies: write; else only tell.

        Raises:
            NotFound: there is no such tenant.
        """
        for owner in await self._tenants(tenant_id):
            after = ""
            while True:
                async with self._store.unit(owner, writes=applies) as unit:
                    ids = await ComponentEnvironment(unit).having(after, _AT_ONCE)
                    components = await ComponentRows(unit).list(ids) if ids else []
                    mine = [each for each in components if each.tenant_id == owner]
                    results = [result for each in mine if (result := await _make(unit, each, applies=applies))]
                for result in results:
                    tell(result)
                if len(ids) < _AT_ONCE:
                    break
                after = ids[-1]

    async def undo(self, tenant_id: str | None, tell: Tell, *, applies: bool) -> None:
        """Delete the clients that were made and are as they were made, or tell which would be.

        Raises:
            NotFound: there is no such tenant.
        """
        for owner in await self._tenants(tenant_id):
            after = ""
            while True:
                async with self._store.unit(owner, writes=applies) as unit:
                    batch = await ImportBatches(unit).named(ENVIRONMENT, _NAME)
                    if batch is None:
                        break
                    some = await ImportEntries(unit).of_batch(batch.id, _KIND, after, _AT_ONCE)
                    results = [await _undo(unit, entry, applies=applies) for entry in some]
                for result in results:
                    tell(result)
                if len(some) < _AT_ONCE:
                    break
                after = some[-1].external_key

    async def _tenants(self, tenant_id: str | None) -> Sequence[str]:
        async with self._store.installation() as unit:
            known = [tenant.id for tenant in await TenantRows(unit).list()]
        if tenant_id is None:
            return known
        if tenant_id not in known:
            raise NotFound("there is no such tenant")
        return [tenant_id]


async def _make(unit: Unit, component: Component, *, applies: bool) -> ComponentResult | None:
    """Make a client of a component's variables; None if its build asks for no keys, or there are no variables."""
    variables = await ComponentEnvironment(unit).read(component.id)
    name = f"{component.team_name}/{component.name}"
    result = ComponentResult(unit.tenant_id, component.id, name, ClientOutcome.skipped)
    descriptor = None if component.latest is None else parse_descriptor(component.latest.descriptor)
    if not variables or (descriptor is not None and descriptor.oauth2 is None and descriptor.oauth1 is None):
        return None
    there = await OAuthClientRows(unit).for_component(component.id)
    if there is not None:
        return replace(result, outcome=ClientOutcome.existing, oauth_client_id=there.id, why=_EXISTS)
    if descriptor is None:
        return replace(result, why="it has no build whose templates would tell which variables")
    try:
        keys = _keys(descriptor, variables)
    except _Unusable as why:
        return replace(result, why=str(why))
    unused = keys.names if descriptor.use_oauth_client else ()
    made = replace(result, outcome=ClientOutcome.made, why=_told(component, descriptor), unused=unused)
    return made if not applies else await _stored(unit, made, keys)


async def _stored(unit: Unit, made: ComponentResult, keys: _Keys) -> ComponentResult:
    """Store a client, and remember that it was made here."""
    batch = await ImportBatches(unit).obtain(ENVIRONMENT, _NAME)
    try:
        client = await OAuthClientRows(unit).add(
            made.component_id, keys.client_id, keys.client_secret, keys.client_auth
        )
    except AlreadyExists:  # by somebody else, at this moment
        return replace(made, outcome=ClientOutcome.existing, why=_EXISTS, unused=())
    entries = ImportEntries(unit)
    for known in (await entries.known(ENVIRONMENT, _KIND, [made.component_id])).values():  # that somebody has deleted
        await entries.forget(known)
    stored = await OAuthClientRows(unit).find(client.id)  # with the time as it is stored
    version = epoch_ms((stored or client).updated_at)
    await entries.add([ImportEntry(ENVIRONMENT, _KIND, made.component_id, batch.id, client.id, version, None)])
    await AuditLog(unit).append(operator(), "env-vars.migrate", (_KIND, client.id), "allowed")
    return replace(made, oauth_client_id=client.id)


async def _undo(unit: Unit, entry: ImportEntry, *, applies: bool) -> ComponentResult:
    """Delete a client if it is as it was made."""
    clients = OAuthClientRows(unit)
    if applies:
        await clients.lock_to_delete(entry.resource_id)
    client = await clients.find(entry.resource_id)
    component = next(iter(await ComponentRows(unit).list([entry.external_id])), None)
    name = entry.external_id if component is None else f"{component.team_name}/{component.name}"
    result = ComponentResult(unit.tenant_id, entry.external_id, name, ClientOutcome.kept, entry.resource_id)
    if client is not None and epoch_ms(client.updated_at) != entry.resource_version:
        return replace(result, why="it was changed since")
    if applies:
        if client is not None:
            await clients.remove(client.id)
            await AuditLog(unit).append(operator(), "env-vars.undo", (_KIND, client.id), "allowed")
        await ImportEntries(unit).forget(entry)
    why = "somebody has deleted it before" if client is None else ""
    return replace(result, outcome=ClientOutcome.deleted, why=why)


def _keys(descriptor: Descriptor, variables: Mapping[str, str]) -> _Keys:
    """Return the keys that variables hold.

    Raises:
        _Unusable: there are none that could be used.
    """
    id_name, secret_name = linked_names(descriptor)
    fixed = {CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE} & variables.keys()
    if fixed and id_name is None:
        id_name, secret_name = CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
    public = descriptor.oauth2 is not None and descriptor.oauth2.client_auth == _PUBLIC
    if id_name is None or (secret_name is None and not public):
        raise _Unusable(f"the template of its client {'id' if id_name is None else 'secret'} is not one variable alone")
    wanted = [id_name] if public or secret_name is None else [id_name, secret_name]
    missing = [name for name in wanted if not variables.get(name, "").strip()]
    if missing:
        raise _Unusable(f"not set is its variable {' nor '.join(missing)}")
    client_id, secret = variables[id_name], variables.get(secret_name or "", "")
    method = _PUBLIC if public else None
    unfit = unfit_client(client_id, secret, method)
    if unfit:
        raise _Unusable("; ".join(f"its {what} {why}" for what, why in sorted(unfit.items())))
    names = {id_name, *filter(None, [secret_name]), *fixed} & variables.keys()
    return _Keys(client_id, Secret(secret), method, sorted(names))


def _told(component: Component, descriptor: Descriptor) -> str:
    notes = []
    if not descriptor.use_oauth_client:
        notes.append(_NOT_YET)
    if component.access is ComponentAccess.everyone:
        notes.append(_SHARED)
    return "; ".join(notes)
