"""Auth clients (contract section 14): list, read, create, change, delete.

Who may do so is in `auth_client_authorization`, which clients a place has in `auth_client_availability`, what their
credentials may hold in `auth_client_credentials`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from keyrack.errors import DatabaseUnavailable, Forbidden, InUse, KeyrackError, Problem, ValidationFailed
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.clients import AuthClient, ClientFilter, SecretExpiry
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.service.authz.task_users import READ_AUTH_CLIENTS, TaskUserAccess, is_task_user, own_place
from keyrack.service.clients import auth_client_credentials as credentials_of
from keyrack.service.clients.auth_client_authorization import (
    GLOBAL,
    AuthClientPermissions,
    auth_client_permissions,
)
from keyrack.service.clients.auth_client_availability import available_clients, place_of
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.clients.auth_client_links import require_visible
from keyrack.service.clients.auth_client_reading import found_client, hidden_client, located_client, seen_at_its_scope
from keyrack.service.clients.auth_client_values import (
    AuthClientView,
    ChangedAuthClient,
    NamedScope,
    NewAuthClient,
    ScopeKind,
)
from keyrack.service.clients.client_discovery import ClientDiscovery
from keyrack.service.clients.deletion_window import keep_or_end
from keyrack.service.clients.live_secrets import secret_in_use
from keyrack.service.clients.oauth_clients import require_unchanged
from keyrack.service.clients.secret_expiry import GivenExpiry, changed_expiry, new_expiry
from keyrack.service.tenancy.redirect_uris import of_issuer
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.client_rotations import AuthClientRotations
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.store.directory import Directory, Location
from keyrack.store.usage import Usages
from keyrack.validation.unvalidated import Unvalidated

TARGET = "auth-client"
_NAMED_SECRETS = 100
_RELATIONSHIPS = "/data/relationships"

_Enter = Callable[[Principal, str, str | None], AbstractAsyncContextManager[Scope]]


class AuthClients:
    """Use cases of contract section 14."""

    def __init__(
        self,
        access: Access,
        rules: CredentialRules,
        lead: timedelta,
        discovery: ClientDiscovery | None = None,
        kept_for: timedelta = timedelta(),
    ) -> None:
        """Make the use cases.

        Args:
            access: the way into every operation.
            rules: what credentials may hold.
            lead: how long before its expiry a token is due: setting a client's credentials (again) lets the secrets
                that waited for that be refreshed (contract 0.13).
            discovery: completes new clients; None: what they leave out is missing.
            kept_for: how long deleted clients can be restored.
        """
        self._kept_for = kept_for
        self._access = access
        self._rules = rules
        self._lead = lead
        self._discovery = discovery

    async def list(
        self,
        who: Principal,
        asked: NamedScope | None,
        wanted: ClientFilter,
        *,
        limit: int | None,
        offset: int | After,
    ) -> tuple[Sequence[AuthClientView], int]:
        """List those of the clients that can be used at a scope which are wanted (14.1).

        Returns:
            A page and the total.

        Raises:
            NotFound: there is no such scope.
            Forbidden: the caller holds no get permission there; for global clients: none anywhere.
        """
        async with self._at(who, asked, door=READ_AUTH_CLIENTS) as scope:
            reach = await auth_client_permissions(scope)
            _require_get(reach, scope)
            found, total = await available_clients(scope, wanted, limit=limit, offset=offset)
            return [self._read(who, _view(reach, scope.place, each)) for each in found], total

    def whole(self, found: Sequence[AuthClientView]) -> AsyncIterator[AuthClientView]:
        """Yield the clients of a list with the credentials that were left out."""

        async def read(some: Sequence[AuthClientView]) -> Mapping[str, AuthClientView]:
            async with self._access.reading_on(some[0].client.tenant_id) as unit:
                whole = await AuthClientRows(unit).find_many([view.client.id for view in some])
            return {name: AuthClientView(client, credentials_of.shown(client)) for name, client in whole.items()}

        return in_batches(
            found,
            lambda view: view.left_out,
            lambda view: view.client.id,
            read,
            lambda view: view.client.tenant_id,
        )

    async def get(self, who: Principal, auth_client_id: str, asked: NamedScope | None) -> AuthClientView:
        """Return one client, judged at a scope; without one at its own (0.10), a task user's at its workspace (14.1).

        Raises:
            NotFound: there is none, it is not available at the scope, or the caller cannot see it at its own.
            Forbidden: the caller holds no get permission at the scope asked for.
        """
        if asked is None and is_task_user(who):
            asked = NamedScope(ScopeKind.workspace, str(own_place(who).workspace_id))
        if asked is not None:
            async with self._at(who, asked) as scope:
                reach = await auth_client_permissions(scope)
                _require_get(reach, scope)
                return self._read(who, _view(reach, scope.place, await found_client(scope, auth_client_id)))
        async with seen_at_its_scope(self._access, who, auth_client_id) as (scope, reach, client):
            return self._read(who, _view(reach, scope.place, client))

    def _read(self, who: Principal, view: AuthClientView) -> AuthClientView:
        if view.credentials is not None:
            self._access.counts.disclosed(
                who, view.client.tenant_id, "auth-client.read", "auth-client", [view.client.id]
            )
        return view

    async def create(
        self,
        who: Principal,
        asked: Unvalidated[NamedScope | None],
        new: Unvalidated[NewAuthClient],
        within: NamedScope | None = None,
        made_id: str | None = None,
    ) -> AuthClientView:
        """Create a client in a scope, which the body names, so that its form is judged before the permission (14.2).

        Args:
            who: the caller.
            asked: the scope that the body names.
            new: the client.
            within: the scope that the path names (legacy routes); the body then names the same or none.
            made_id: the id that it gets, made by us, so that a form that is sent twice makes one.

        Raises:
            NotFound: there is no scope as in the path.
            ValidationFailed, TypeConflict: the body is wrong.
            Forbidden: the caller may not create clients in that scope; without a scope this is the global one (24.20).
            IdConflict: the id in the body is that of another client.
            RelatedNotFound: there is no such scope, or a component cannot be seen there.
            ProviderError, ProviderUnavailable: the authorization server tells nothing, or registers no client.
        """
        named = asked.validated() if within is None else await self._within(who, within, asked)
        client_id = made_id or new_id()
        with named_in_body("scope" if named is None else named.kind.value):
            async with (
                self._completed(who, named, new, client_id) as complete,
                self._at(who, named, "auth-client.create") as scope,
            ):
                reach = await auth_client_permissions(scope)
                _require(reach, "create", scope.place)
                scope.require_open()
                wanted = complete.validated()
                client = self._made(scope.place, wanted, client_id, scope.unit.clock())
                await refuse_taken(scope, "auth-client", wanted.given_id)
                await require_visible(scope, wanted.component_ids)
                await self._require_our_address(scope, client)
                await AuthClientRows(scope.unit).add(
                    client, credentials_of.refresh_origin(client.type, client.credentials)
                )
                if self._discovery is not None:
                    await self._discovery.stored(scope.unit, wanted)
                scope.audit_target(TARGET, client.id)
                return _view(reach, scope.place, client)

    async def change(
        self,
        who: Principal,
        auth_client_id: str,
        new: Unvalidated[ChangedAuthClient],
        within: NamedScope | None = None,
        as_of: datetime | None = None,
    ) -> AuthClientView:
        """Change a client's name, components or, within limits, credentials (14.3).

        Setting credentials, also to what they were, ends the provider's rejection and revives paused secrets (0.13).

        Args:
            who: the caller.
            auth_client_id: the client.
            new: what to change.
            within: a scope in whose path the client is addressed (legacy routes).
            as_of: when the client that the caller has seen was changed last; None: whatever it is now.

        Raises:
            NotFound: there is none, or the caller cannot see it from anywhere.
            Forbidden: the caller may not edit clients of its scope.
            ValidationFailed: the body is wrong, or changes what cannot change.
            RelatedNotFound: a component cannot be seen at the client's scope.
            StateConflict: the client was changed since the caller has seen it.
        """
        async with self._own(who, auth_client_id, "edit", within) as (scope, reach):
            await AuthClientRows(scope.unit).lock_to_change(auth_client_id)
            stored = await found_client(scope, auth_client_id)
            wanted = new.validated()
            _require_same(stored, wanted)
            require_unchanged(stored.updated_at, as_of)
            client = replace(stored, name=wanted.name or stored.name)
            if wanted.credentials is not None:
                client = replace(client, credentials=self._rules.changed(stored, wanted.credentials))
            client = replace(client, expiry=_changed_expiry(stored, client, wanted, scope.unit.clock()))
            if wanted.component_ids is not None:
                await require_visible(scope, wanted.component_ids)
                client = replace(client, component_ids=_distinct(wanted.component_ids))
            origin = credentials_of.refresh_origin(client.type, client.credentials)
            forgive = wanted.credentials is not None
            await AuthClientRows(scope.unit).replace(client, origin, forgive=forgive)
            if secret_in_use(client) != secret_in_use(stored) and stored.rotation is not None:
                await AuthClientRotations(scope.unit).end_rotation(client.id)  # whoever sets a secret has chosen
            if forgive:
                await AuthClientHealth(scope.unit).revive(client.id, self._lead)
            scope.audit_target(TARGET, client.id)
            return _view(reach, scope.place, client)

    async def delete(self, who: Principal, auth_client_id: str, within: NamedScope | None = None) -> None:
        """Delete a client that no secret is attached to (14.3); it can be restored for a time.

        If Keyrack registered it, its server is told when that time is over.

        Raises:
            NotFound: there is none, or the caller cannot see it from anywhere.
            Forbidden: the caller may not delete clients of its scope.
            InUse: secrets are attached; `meta.secret_ids` names those of the caller's own workspaces (all of the
                tenant for a tenant admin), `meta.secrets` counts all.
        """
        async with self._own(who, auth_client_id, "delete", within) as (scope, _):
            await AuthClientRows(scope.unit).lock_to_delete(auth_client_id)
            client = await found_client(scope, auth_client_id)
            await _require_unused(scope, auth_client_id)
            await keep_or_end(scope.unit, client, self._kept_for)
            await AuthClientRows(scope.unit).remove(auth_client_id)
            scope.audit_target(TARGET, auth_client_id)

    @asynccontextmanager
    async def _completed(
        self, who: Principal, named: NamedScope | None, new: Unvalidated[NewAuthClient], client_id: str
    ) -> AsyncIterator[Unvalidated[NewAuthClient]]:
        """Yield a new client with what its authorization server says, and registered there if it wants that.

        No transaction is open meanwhile. What would be refused is not asked for, but left to be refused in its order. A
        registration is taken back if the client then cannot be stored.
        """
        judged = None if self._discovery is None else await self._judged(self._discovery, who, named, new)
        if self._discovery is None or judged is None:
            yield new
            return
        wanted, documented, tenant_id = judged
        with self._discovery.at_work(client_id):
            found = await self._discovery.completed(wanted, documented, tenant_id=tenant_id, auth_client_id=client_id)
            try:
                yield Unvalidated(lambda: found)
            except DatabaseUnavailable:  # it may have been stored; if not, recovery finds the attempt
                raise
            except Exception:
                await self._discovery.undo(found, tenant_id=tenant_id)
                raise

    async def _judged(
        self, discovery: ClientDiscovery, who: Principal, named: NamedScope | None, new: Unvalidated[NewAuthClient]
    ) -> tuple[NewAuthClient, str | None, str] | None:
        """Return a new client that leaves something to be found, the documented redirect URI, and whose it will be.

        None: nothing is left, or it would be refused.
        """
        try:
            wanted = new.validated()
        except KeyrackError:
            return None
        if not discovery.is_needed(wanted):
            return None
        async with self._at(who, named) as scope:
            if not (await auth_client_permissions(scope)).allows("create", scope.place):
                return None
            await refuse_taken(scope, "auth-client", wanted.given_id)
            await require_visible(scope, wanted.component_ids)
            place, documented = scope.place, await discovery.redirect_uri(scope.unit)
        if place != GLOBAL:
            async with self._access.at(who, place, precheck="auth-client.create"):
                pass  # leaving insists that the contract is not suspended
        return wanted, documented, place.tenant_id

    async def _require_our_address(self, scope: Scope, client: AuthClient) -> None:
        """Insist that the redirect URI that a client names, if it does, is one of its tenant's.

        Raises:
            ValidationFailed: it is another's.
        """
        named = credentials_of.redirect_uri_of(client)
        if named is None or self._discovery is None:
            return
        documented, issuer = await self._discovery.redirect_uri(scope.unit), credentials_of.named_issuer(client)
        ours = [] if documented is None else [documented, *([of_issuer(documented, issuer)] if issuer else [])]
        if named not in ours:
            problem = (
                f"must be {' or '.join(ours)}" if ours else "a global client has none while each tenant has its own"
            )
            raise ValidationFailed(Problem(problem, f"{credentials_of.POINTER}/{credentials_of.REDIRECT_URI}"))

    async def _within(self, who: Principal, within: NamedScope, asked: Unvalidated[NamedScope | None]) -> NamedScope:
        """Return the scope of a path, which must exist before the body is looked at (contract section 3)."""
        async with self._at(who, within):
            named = asked.validated()
        if named not in (None, within):
            pointer = f"{_RELATIONSHIPS}/{(named or within).kind.value}/data/id"
            raise ValidationFailed(Problem("the path names another scope", pointer))
        return within

    def _made(self, place: Location, wanted: NewAuthClient, client_id: str, now: datetime) -> AuthClient:
        in_contract = place.contract_id if place.workspace_id is None else None
        credentials = self._rules.made(wanted.type, wanted.credentials)
        has_secret = credentials_of.secret_of(wanted.type, credentials) is not None
        return AuthClient(
            id=client_id,
            tenant_id=place.tenant_id,
            contract_id=in_contract,
            workspace_id=place.workspace_id,
            name=wanted.name,
            type=wanted.type,
            credentials=credentials,
            component_ids=_distinct(wanted.component_ids),
            expiry=new_expiry(wanted.expiry or _stated(wanted.type, credentials), now, has_secret=has_secret),
            mcp_server=wanted.mcp_server,
        )

    @asynccontextmanager
    async def _own(
        self, who: Principal, auth_client_id: str, action: str, within: NamedScope | None
    ) -> AsyncIterator[tuple[Scope, AuthClientPermissions]]:
        """Enter a client's own scope to do something to it; what the caller cannot see is not there (section 3)."""
        if within is not None:
            async with self._at(who, within) as scope:
                allowed = (await auth_client_permissions(scope)).allows(action, scope.place)
                if allowed:
                    await found_client(scope, auth_client_id)
            if not allowed:  # whether the client exists or not (section 3: permission before target)
                await self._refuse(who, within, action)
        named = f"auth-client.{action}"
        place = await located_client(self._access, who, auth_client_id, named)
        async with self._in(who, place, named) as scope:
            reach = await auth_client_permissions(scope)
            if not reach.knows(place) and not reach.allows(action, place):
                raise hidden_client(self._access, who, place, auth_client_id, named)
            _require(reach, action, place)
            scope.require_open()
            yield scope, reach

    async def _refuse(self, who: Principal, within: NamedScope, action: str) -> None:
        """Refuse an operation at a scope, for the audit log to tell.

        Raises:
            Forbidden: always.
        """
        async with self._at(who, within, f"auth-client.{action}") as scope:
            _require(await auth_client_permissions(scope), action, scope.place)

    def _at(
        self, who: Principal, named: NamedScope | None, action: str | None = None, door: TaskUserAccess | None = None
    ) -> AbstractAsyncContextManager[Scope]:
        if named is None:
            return self._access.installation(who, action, door)
        enter: dict[ScopeKind, _Enter] = {
            ScopeKind.tenant: self._access.tenant,
            ScopeKind.contract: self._access.contract,
            ScopeKind.workspace: self._access.workspace,
        }
        return enter[named.kind](who, named.id, action)

    def _in(self, who: Principal, place: Location, action: str | None = None) -> AbstractAsyncContextManager[Scope]:
        if place == GLOBAL:
            return self._access.installation(who, action)
        return self._access.at(who, place, action)


def _require_get(reach: AuthClientPermissions, scope: Scope) -> None:
    """A get permission at the scope; for global clients any, anywhere (14.1)."""
    if scope.place == GLOBAL:
        scope.require_that(reach.knows(GLOBAL), "this needs a permission to get auth clients")
    else:
        _require(reach, "get", scope.place)


def _require(reach: AuthClientPermissions, action: str, place: Location) -> None:
    if not reach.allows(action, place):
        raise Forbidden(f"this needs the permission global.auth_clients.{action}, held at the auth client's scope")


def _view(reach: AuthClientPermissions, around: Location, client: AuthClient) -> AuthClientView:
    visible = reach.shows_keys(place_of(client, around))
    return AuthClientView(client, credentials_of.shown(client) if visible else None)


def _require_same(stored: AuthClient, wanted: ChangedAuthClient) -> None:
    """Type and scope cannot change; equal values may be sent (14.3)."""
    problems = []
    if wanted.type not in (None, stored.type):
        problems.append(Problem("the type of an auth client cannot be changed", "/data/attributes/type"))
    for named in wanted.scopes:
        if named != _scope_named(stored):
            pointer = f"{_RELATIONSHIPS}/{named.kind.value}/data/id"
            problems.append(Problem("the scope of an auth client cannot be changed", pointer))
    if problems:
        raise ValidationFailed(*problems)


def _changed_expiry(stored: AuthClient, client: AuthClient, wanted: ChangedAuthClient, now: datetime) -> SecretExpiry:
    before, after = (credentials_of.secret_of(each.type, each.credentials) for each in (stored, client))
    given = wanted.expiry or (None if after == before else _stated(client.type, client.credentials))
    return changed_expiry(stored.expiry, given, now, has_secret=after is not None, same_secret=after == before)


def _stated(kind: str, credentials: Json) -> GivenExpiry | None:
    """Return when credentials end by their own word: a certificate says so."""
    end = credentials_of.end_of_certificate(kind, credentials)
    return None if end is None else GivenExpiry(end)


def _scope_named(client: AuthClient) -> NamedScope | None:
    if client.workspace_id is not None:
        return NamedScope(ScopeKind.workspace, client.workspace_id)
    if client.contract_id is not None:
        return NamedScope(ScopeKind.contract, client.contract_id)
    return NamedScope(ScopeKind.tenant, client.tenant_id) if client.tenant_id else None


async def _require_unused(scope: Scope, auth_client_id: str) -> None:
    total = await Directory(scope.unit).secrets_attached(auth_client_id)
    if total == 0:
        return
    everything = scope.is_tenant_admin or scope.who.tenant_id is None
    workspaces = None if everything else await Usages(scope.unit).workspaces_of(scope.who.id)
    known = await AuthSecrets(scope.unit).attached_to(auth_client_id, workspaces, limit=_NAMED_SECRETS)
    raise InUse(
        f"the auth client has {total} {'secret' if total == 1 else 'secrets'} attached to it",
        meta={"secret_ids": list(known), "secrets": total},
    )


def _distinct(component_ids: Sequence[str]) -> tuple[str, ...]:
    """Sorted, as they are read back."""
    return tuple(sorted(set(component_ids)))
