"""Finds a client by name or id and diagnoses it, for an operator on the command line, which the audit log tells."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from keyrack.errors import NotFound, StateConflict
from keyrack.ids import is_id
from keyrack.model.clients import AuthClientFilter, is_oauth2
from keyrack.service.authz.access import ALLOWED, Scope
from keyrack.service.authz.operator import operator
from keyrack.service.diagnosis.examination import Diagnosis, Examiner
from keyrack.service.diagnosis.subject import Subject, auth_client_subject, oauth_client_subject
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_list import AuthClientList, KnownScopes
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.components import ComponentRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory, Location
from keyrack.store.oauth_clients import OAuthClientRows

_MOST_OF_A_NAME = 100
_EVERYTHING = KnownScopes(everyones=True, tenants=True, all_contracts=True, all_workspaces=True)


class ClientDoctor:
    """For whoever works on the machine itself.

    Args:
        store: all data.
        examiner: examines.
        public_url: the setting of this name.
        allow_insecure: accept http URLs and private addresses.
    """

    def __init__(self, store: Store, examiner: Examiner, public_url: str | None, *, allow_insecure: bool) -> None:
        self._store = store
        self._examiner = examiner
        self._public_url = public_url
        self._allow_insecure = allow_insecure

    async def diagnose(self, named: str, tenant_id: str | None) -> Diagnosis:
        """Diagnose the client that somebody names.

        Args:
            named: id of an auth client or of an OAuth client; or, in a tenant, the name of an auth client, or
                `team/component` for the tenant's OAuth client. Without a tenant, names are those of global clients.
            tenant_id: the tenant.

        Raises:
            NotFound: there is no such client or tenant.
            StateConflict: several have the name; or it is not of an oauth2 type.
        """
        subject = await self._found(named, tenant_id)
        if subject is None:
            where = " in this tenant" if tenant_id else "; name its tenant with --tenant, unless it is global"
            raise NotFound(f"there is no such client{where}")
        return await self._examiner.examine(subject, for_operator=True)

    async def _found(self, named: str, tenant_id: str | None) -> Subject | None:
        async with self._store.installation() as unit:
            if tenant_id is not None and await Directory(unit).tenant(tenant_id) is None:
                raise NotFound("there is no such tenant")
            place = await Directory(unit).place("auth_client", named) if is_id(named) else None
            of_oauth = await Directory(unit).place("oauth_client", named) if is_id(named) else None
        found = place or of_oauth
        if found is not None and tenant_id not in (None, found.tenant_id) and found.tenant_id != INSTALLATION:
            return None
        if place is not None:
            return await self._auth_client(place.tenant_id, named)
        if of_oauth is not None:
            return await self._oauth_client(of_oauth.tenant_id, named)
        return await self._by_name(named, tenant_id)

    async def _by_name(self, named: str, tenant_id: str | None) -> Subject | None:
        async with self._store.installation() if tenant_id is None else self._store.unit(tenant_id) as unit:
            wanted = AuthClientFilter(search=named)
            page, _ = await AuthClientList(unit).page(_EVERYTHING, wanted, limit=_MOST_OF_A_NAME, offset=0)
            found = {each.id: each.tenant_id for each in page if each.name.casefold() == named.casefold()}
            oauth_client_id = None if tenant_id is None else await _of_component(unit, named)
        _require_one(named, [*found, *([] if oauth_client_id is None else [oauth_client_id])])
        for client_id, owner in found.items():
            return await self._auth_client(owner, client_id)
        return None if oauth_client_id is None else await self._oauth_client(str(tenant_id), oauth_client_id)

    async def _auth_client(self, tenant_id: str, client_id: str) -> Subject | None:
        async with self._writing(tenant_id) as unit:
            client = await AuthClientRows(unit).find(client_id)
            if client is None:
                return None
            if not is_oauth2(client.type):
                raise StateConflict("the auth client is not of an oauth2 type, so that there is nothing to ask")
            subject = await auth_client_subject(
                _scope(unit), client, self._public_url, allow_insecure=self._allow_insecure
            )
            await AuditLog(unit).append(operator(), "auth-client.diagnose", ("auth-client", client.id), ALLOWED)
            return subject

    async def _oauth_client(self, tenant_id: str, client_id: str) -> Subject | None:
        async with self._writing(tenant_id) as unit:
            client = await OAuthClientRows(unit).find(client_id)
            if client is None:
                return None
            subject = await oauth_client_subject(
                _scope(unit), client, self._public_url, allow_insecure=self._allow_insecure
            )
            await AuditLog(unit).append(operator(), "oauth-client.diagnose", ("oauth-client", client.id), ALLOWED)
            return subject

    def _writing(self, tenant_id: str) -> AbstractAsyncContextManager[Unit]:
        if tenant_id == INSTALLATION:
            return self._store.installation(writes=True)
        return self._store.unit(tenant_id, writes=True)


async def _of_component(unit: Unit, named: str) -> str | None:
    """Return the id of the tenant's OAuth client for a component, which is named by id or as `team/component`."""
    rows, (team, separator, name) = ComponentRows(unit), named.partition("/")
    component = await rows.find(named) if is_id(named) else None
    if component is None and separator:
        component = await rows.find_by_name(team, name)
    client = None if component is None else await OAuthClientRows(unit).for_component(component.id)
    return None if client is None else client.id


def _require_one(named: str, ids: Sequence[str]) -> None:
    if len(ids) > 1:
        raise StateConflict(f"several clients are called {named}; name one by its id: {', '.join(ids)}")


def _scope(unit: Unit) -> Scope:
    return Scope(unit, operator(), Location(unit.tenant_id), frozenset())
