"""OAuth clients of a tenant (contract section 8): create, read, replace, delete, usage."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, Problem, RelatedNotFound, StateConflict, ValidationFailed
from keyrack.model.clients import ClientFilter, OAuthClient
from keyrack.model.flows import Usage
from keyrack.model.identity import Principal
from keyrack.oauth.client_auth import METHOD_OF, TokenEndpointAuthMethod, unfit_for
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.references import refuse_taken
from keyrack.service.authz.usage_guard import nameable, require_client_unused
from keyrack.service.clients.deletion_window import keep_or_end
from keyrack.service.clients.secret_expiry import GivenExpiry, changed_expiry, new_expiry
from keyrack.store.client_rotations import OAuthClientRotations
from keyrack.store.components import ComponentRows
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.usage import Usages
from keyrack.validation.unvalidated import Unvalidated

_POINTER = "/data/relationships/component/data/id"
_ATTRIBUTES = "/data/attributes"

_READ = "oauth-client.read"
"""Counted by the hour: whoever gets a client gets its secret."""


@dataclass(frozen=True, slots=True)
class NewOAuthClient:
    """What a caller sends to create or replace a client (contract 8.2).

    `client_auth` is None for what the descriptor says; `keeps_client_auth` leaves a replaced client's as it is.
    """

    client_id: str
    client_secret: Secret
    component_id: str
    given_id: str | None = None
    client_auth: str | None = None
    keeps_client_auth: bool = False
    expiry: GivenExpiry | None = None
    """When the secret ends; None: it says nothing of that."""
    keeps_secret: bool = False
    """Leaves a replaced client's secret as it is, whatever `client_secret` is."""


@dataclass(frozen=True, slots=True)
class OAuthClientView:
    """A client as its tenant sees it; `component_visible` is false when the component is gone (contract 24.6)."""

    client: OAuthClient
    component_visible: bool

    @property
    def left_out(self) -> int:
        """Bytes of id and secret, if a list has left them out for now."""
        return self.client.left_out


class OAuthClients:
    """Use cases of contract section 8. Each checks exactly one permission (contract 24.7)."""

    def __init__(self, access: Access, kept_for: timedelta = timedelta()) -> None:
        """Make the use cases.

        Args:
            access: the way into every operation.
            kept_for: how long deleted clients can be restored.
        """
        self._access = access
        self._kept_for = kept_for

    async def create(
        self, who: Principal, tenant_id: str, new: Unvalidated[NewOAuthClient], made_id: str | None = None
    ) -> OAuthClientView:
        """Create the tenant's client for a component (8.2).

        Args:
            who: the caller.
            tenant_id: the tenant.
            new: the client.
            made_id: the id that it gets, made by us, so that a form that is sent twice makes one.

        Raises:
            ValidationFailed, TypeConflict: the body is wrong.
            RelatedNotFound: the component is unknown or not visible in the tenant.
            AlreadyExists: the tenant has a client for it.
            IdConflict: the body has the id of another client.
        """
        async with self._access.tenant(who, tenant_id, "oauth-client.create") as scope:
            scope.require("tenants.oauth_clients.create")
            wanted = new.validated()
            _require_fit(wanted, wanted.client_auth)
            await refuse_taken(scope, "oauth-client", wanted.given_id)
            await _require_visible(scope, wanted.component_id)
            has_secret = bool(wanted.client_secret.reveal())
            expiry = new_expiry(wanted.expiry, scope.unit.clock(), has_secret=has_secret)
            try:
                client = await OAuthClientRows(scope.unit).add(
                    wanted.component_id,
                    wanted.client_id,
                    wanted.client_secret,
                    wanted.client_auth,
                    expiry,
                    made_id=made_id,
                )
            except AlreadyExists:
                raise _second_client() from None
            scope.audit_target("oauth-client", client.id)
            return OAuthClientView(client, component_visible=True)

    async def list(
        self, who: Principal, tenant_id: str, wanted: ClientFilter, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[OAuthClientView], int]:
        """List the tenant's clients that are wanted, whether their components are visible or not (8.3).

        Returns:
            A page and the total.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.oauth_clients.get")
            clients, total = await OAuthClientRows(scope.unit).page(wanted, limit=limit, offset=offset)
            seen = await ComponentRows(scope.unit).seen_among([client.component_id for client in clients])
            self._access.counts.disclosed(who, tenant_id, _READ, "oauth-client", [client.id for client in clients])
            return [OAuthClientView(client, client.component_id in seen) for client in clients], total

    def whole(self, found: Sequence[OAuthClientView]) -> AsyncIterator[OAuthClientView]:
        """Yield the clients of a list with the ids and secrets that were left out."""

        async def read(some: Sequence[OAuthClientView]) -> Mapping[str, OAuthClientView]:
            async with self._access.reading_on(some[0].client.tenant_id) as unit:
                whole = await OAuthClientRows(unit).whole([view.client for view in some])
            return {
                view.client.id: replace(view, client=whole[view.client.id]) for view in some if view.client.id in whole
            }

        return in_batches(found, lambda view: view.left_out, lambda view: view.client.id, read)

    async def get(self, who: Principal, tenant_id: str, oauth_client_id: str) -> OAuthClientView:
        """Return one client (8.3).

        Raises:
            NotFound: the tenant has no such client.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.oauth_clients.get")
            view = await _view(scope, await _find(scope, oauth_client_id))
            self._access.counts.disclosed(who, tenant_id, _READ, "oauth-client", [oauth_client_id])
            return view

    async def replace(
        self,
        who: Principal,
        tenant_id: str,
        oauth_client_id: str,
        new: Unvalidated[NewOAuthClient],
        as_of: datetime | None = None,
    ) -> OAuthClientView:
        """Replace a client's values (8.4); the component may change if the old one is not in use.

        Args:
            who: the caller.
            tenant_id: the tenant.
            oauth_client_id: the client.
            new: its new values.
            as_of: when the client that the caller has seen was changed last; None: whatever it is now.

        Raises:
            NotFound: the tenant has no such client.
            RelatedNotFound: the component is unknown or not visible in the tenant.
            AlreadyExists: another client serves the new component.
            InUse: a flow uses the old component.
            StateConflict: the client was changed since the caller has seen it.
        """
        async with self._access.tenant(who, tenant_id, "oauth-client.edit") as scope:
            scope.require("tenants.oauth_clients.edit")
            rows = OAuthClientRows(scope.unit)
            await rows.lock_to_delete(oauth_client_id)  # it may be taken away from its component
            client = await _find(scope, oauth_client_id)
            wanted = new.validated()
            require_unchanged(client.updated_at, as_of)
            if wanted.keeps_secret:
                wanted = replace(wanted, client_secret=client.client_secret)
            client_auth = client.client_auth if wanted.keeps_client_auth else wanted.client_auth
            _require_fit(wanted, client_auth)
            new_secret = wanted.client_secret.reveal()
            expiry = changed_expiry(
                client.expiry,
                wanted.expiry,
                scope.unit.clock(),
                has_secret=bool(new_secret),
                same_secret=new_secret == client.client_secret.reveal(),
            )
            await _require_visible(scope, wanted.component_id)
            if wanted.component_id != client.component_id:
                if await rows.for_component(wanted.component_id) is not None:
                    raise _second_client()
                await require_client_unused(scope, client.component_id)
            changed = replace(
                client,
                component_id=wanted.component_id,
                client_id=wanted.client_id,
                client_secret=wanted.client_secret,
                client_auth=client_auth,
                expiry=expiry,
            )
            await rows.replace(changed)
            if client.rotation is not None and new_secret != client.client_secret.reveal():
                await OAuthClientRotations(scope.unit).end_rotation(client.id)  # whoever sets a secret has chosen
            scope.audit_target("oauth-client", client.id)
            return OAuthClientView(changed, component_visible=True)

    async def delete(self, who: Principal, tenant_id: str, oauth_client_id: str) -> None:
        """Delete a client that no flow of the tenant uses now (8.5 as changed by 0.1); it can be restored for a time.

        Raises:
            NotFound: the tenant has no such client.
            InUse: a flow's current graph or draft names the component; `meta.flow_ids` and the detail name those
                flows the caller may see (0.15).
        """
        async with self._access.tenant(who, tenant_id, "oauth-client.delete") as scope:
            scope.require("tenants.oauth_clients.delete")
            await OAuthClientRows(scope.unit).lock_to_delete(oauth_client_id)
            client = await _find(scope, oauth_client_id)
            await require_client_unused(scope, client.component_id)
            await keep_or_end(scope.unit, client, self._kept_for)
            await OAuthClientRows(scope.unit).remove(client.id)
            scope.audit_target("oauth-client", client.id)

    async def usage(self, who: Principal, tenant_id: str, oauth_client_id: str) -> Usage:
        """Return what would be hit by changing or deleting a client (0.15).

        Raises:
            NotFound: the tenant has no such client.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.oauth_clients.get")
            client = await _find(scope, oauth_client_id)
            usages = Usages(scope.unit)
            usage = await usages.of_oauth_client(client)
            known = await nameable(scope, usage.flows)
            return replace(usage, flows=tuple(known))


def require_unchanged(changed_at: datetime | None, as_of: datetime | None) -> None:
    """Insist that a client is as the caller has seen it.

    Args:
        changed_at: when it was changed last.
        as_of: when that was by what the caller has seen; None: it does not matter.

    Raises:
        StateConflict: it was changed since.
    """
    if as_of is not None and changed_at != as_of:
        raise StateConflict("somebody has changed the client since you opened it; look at it again, then change it")


def unfit_client(client_id: str, client_secret: str | None, client_auth: str | None) -> dict[str, str]:
    """Return what keeps a client from authenticating as it is to, by the member at fault (contract 0.23).

    Args:
        client_id: at the provider.
        client_secret: empty is for public clients only; None: not known.
        client_auth: None: as the descriptor says.
    """
    method = METHOD_OF[client_auth or "post"]
    unfit = unfit_for(method, client_id, client_secret or "")
    if client_secret == "" and method is not TokenEndpointAuthMethod.NONE:
        unfit["client_secret"] = "must not be empty but with client_auth none"  # noqa: S105 - says what is wrong
    return unfit


def _require_fit(wanted: NewOAuthClient, client_auth: str | None) -> None:
    unfit = unfit_client(wanted.client_id, wanted.client_secret.reveal(), client_auth)
    if unfit:
        raise ValidationFailed(*(Problem(why, f"{_ATTRIBUTES}/{name}") for name, why in unfit.items()))


async def _find(scope: Scope, oauth_client_id: str) -> OAuthClient:
    client = await OAuthClientRows(scope.unit).find(oauth_client_id)
    if client is None:
        raise NotFound("there is no such OAuth client in this tenant")
    return client


async def _view(scope: Scope, client: OAuthClient) -> OAuthClientView:
    seen = await ComponentRows(scope.unit).seen_among([client.component_id])
    return OAuthClientView(client, client.component_id in seen)


async def _require_visible(scope: Scope, component_id: str) -> None:
    """Visible in the tenant, without the gate: otherwise nobody could create the first client (contract section 5)."""
    if not await ComponentRows(scope.unit).seen_among([component_id]):
        raise RelatedNotFound("there is no such component in this tenant", pointer=_POINTER)


def _second_client() -> AlreadyExists:
    return AlreadyExists("the tenant already has an OAuth client for this component", pointer=_POINTER)
