"""Auth secrets: the user side of a connection (contract section 15). Refreshing them: `refresh`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyrack.clock import Clock, iso
from keyrack.crypto.secret import Secret
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import DatabaseUnavailable, KeyrackError, NotFound, TokenNotValid
from keyrack.ids import new_id
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.events import EventType
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.once import Once
from keyrack.model.secrets import AuthSecret, SecretFilter, SecretState
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.freezing import require_thawed
from keyrack.service.authz.permissions import GET_SECRET, GET_SECRET_CREDENTIALS
from keyrack.service.authz.references import refuse_taken
from keyrack.service.authz.usage_guard import in_use, nameable
from keyrack.service.clients.auth_client_availability import available_client
from keyrack.service.clients.auth_client_profile import declared_method
from keyrack.service.identity.last_use import LastUse
from keyrack.service.secrets.changes import (
    ChangedSecret,
    NewSecret,
    SecretOwner,
    bare,
    changed,
    created_facts,
    filled,
    with_state,
)
from keyrack.service.secrets.direct_grants import DirectGrants, Granted
from keyrack.service.secrets.refresh.refresh_by_hand import FreshTokens
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import replaces_refresh_token
from keyrack.service.secrets.revocation import enqueue
from keyrack.service.secrets.scope_events import tell_missing_scopes
from keyrack.service.secrets.status import SecretStatus, current_status, depends_on_client
from keyrack.store.auth_clients import find_usable, find_usable_among
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.components import ComponentRows
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.freezes import Freezes
from keyrack.store.outbox import Outbox
from keyrack.store.secret_list import SecretList
from keyrack.store.usage import Usages
from keyrack.validation.unvalidated import Unvalidated

_CREATE, _EDIT, _DELETE, _REFRESH = (
    f"workspaces.auth_secret.{action}" for action in ("create", "edit", "delete", "refresh")
)


READ, TARGET = "secret.read", "auth-secret"
"""What the audit log calls a read of credentials, which is counted by the hour, and of what."""


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as the caller may see it, with what is true of it at this moment."""

    secret: AuthSecret
    status: SecretStatus
    credentials_visible: bool

    @property
    def left_out(self) -> int:
        """Bytes of the credentials, if a list has left them out for now."""
        return self.secret.left_out


class Secrets:
    """Use cases of contract section 15."""

    def __init__(
        self,
        store: Store,
        access: Access,
        freshness: FreshTokens,
        direct_grants: DirectGrants,
        schedule: Schedule,
        last_use: LastUse,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access = access
        self._freshness = freshness
        self._direct_grants = direct_grants
        self._schedule = schedule
        self._last_use = last_use
        self._clock = clock

    async def list(
        self, who: Principal, workspace_id: str, wanted: SecretFilter, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[SecretView], int]:
        """List a workspace's secrets as they are stored; return a page and the total."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET)
            found, total = await SecretList(scope.unit).page(
                workspace_id,
                wanted,
                with_credentials=scope.allows(GET_SECRET_CREDENTIALS),
                leave_out=True,
                limit=limit,
                offset=offset,
            )
            if scope.allows(GET_SECRET_CREDENTIALS):
                self._access.counts.disclosed(who, scope.unit.tenant_id, READ, TARGET, [secret.id for secret in found])
            return await self._views(scope.unit, found, visible=scope.allows(GET_SECRET_CREDENTIALS)), total

    def whole(self, found: Sequence[SecretView]) -> AsyncIterator[SecretView]:
        """Yield the secrets of a list with the credentials that were left out."""

        async def read(some: Sequence[SecretView]) -> Mapping[str, SecretView]:
            async with self._access.reading_on(some[0].secret.tenant_id) as unit:
                whole = await SecretList(unit).whole([view.secret for view in some])
                return {view.secret.id: view for view in await self._views(unit, whole, visible=True)}

        return in_batches(found, lambda view: view.left_out, lambda view: view.secret.id, read)

    async def name(self, who: Principal, workspace_id: str, secret_id: str) -> str:
        """Return what one is called, to whoever may get it; it is neither refreshed nor used by that.

        Raises:
            NotFound: the workspace has no such secret.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET)
            return (await _find(scope, secret_id)).name

    async def get(
        self, who: Principal, workspace_id: str, secret_id: str, min_validity: int | None = None
    ) -> SecretView:
        """Return one, refreshed first where that is needed (contract 0.12).

        Args:
            who: the caller.
            workspace_id: where it is.
            secret_id: the secret.
            min_validity: for how many seconds the token must still be good; None: no matter how long.

        Raises:
            NotFound: the workspace has no such secret.
            FrozenError: the operator has frozen it.
            TokenNotValid: the token is not good for that long and cannot be renewed.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(GET_SECRET)
            stored = await _find(scope, secret_id)
            await require_thawed(scope.unit, stored.tenant_id, stored.auth_client_id)
        secret = await self._freshness.before_read(stored, min_validity)
        view = self._view(scope, secret, await self._client(secret))
        if min_validity is not None:
            require_validity(secret, view.status, min_validity, self._clock())
        if view.credentials_visible:
            self._last_use.note(secret.tenant_id, secret.id)
            self._access.counts.disclosed(who, secret.tenant_id, READ, TARGET, [secret.id])
        return view

    async def disclose(self, who: Principal, workspace_id: str, secret_id: str) -> SecretView:
        """Return one with its credentials to a person who wants to read them; unlike `get`, this is audited.

        Raises:
            NotFound: the workspace has no such secret.
            Forbidden: the caller may not see credentials.
        """
        async with self._access.workspace(who, workspace_id, "secret.disclose") as scope:
            scope.require(GET_SECRET_CREDENTIALS)
            stored = await _find(scope, secret_id)
            scope.audit_target("auth-secret", secret_id)
        return await self.get(who, workspace_id, stored.id)

    async def create(
        self, who: Principal, workspace_id: str, new: Unvalidated[NewSecret], once: Once | None = None
    ) -> SecretView:
        """Create a secret of the caller; without a token, if its auth client's grant needs no person.

        Keyrack then asks the provider for the first one, with what the credentials fill in for that.

        Args:
            who: the caller.
            workspace_id: where.
            new: what it is to be.
            once: of a form that may be sent twice, which makes one secret.

        Raises:
            Forbidden: the caller is not a user, so there is nobody it could belong to.
            ValidationFailed: the body or the credentials are wrong.
            IdConflict: the caller made up an id that there is.
            RelatedNotFound: the auth client is not available in the workspace.
            ProviderError, ProviderUnavailable: the provider gives no token; nothing was stored.
        """
        granted = await self._direct_grants.first(who, workspace_id, new)
        if granted is None:
            return await self._create(who, workspace_id, new, once)
        made = once or Once(new_id(), Secret(""))
        try:
            return await self._create(who, workspace_id, new, made, granted)
        except KeyrackError:
            owner = SecretOwner(granted.tenant_id, workspace_id, who.id)
            await self._direct_grants.discard(granted, owner, made.id)
            raise

    async def _create(
        self,
        who: Principal,
        workspace_id: str,
        new: Unvalidated[NewSecret],
        once: Once | None,
        granted: Granted | None = None,
    ) -> SecretView:
        async with self._access.workspace(who, workspace_id, "secret.create") as scope:
            scope.require(_CREATE)
            scope.require_that(who.kind is PrincipalKind.user, "a secret belongs to the user who creates it")
            wanted = new.validated()
            await refuse_taken(scope, "auth-secret", wanted.given_id)
            named = wanted.auth_client_pointer
            client = await available_client(scope, wanted.auth_client_id, held=True, pointer=named)
            await require_thawed(scope.unit, scope.unit.tenant_id, client.id)
            now = self._clock()
            method = await _auth_method(scope.unit, client)
            owner = SecretOwner(scope.unit.tenant_id, workspace_id, who.id)
            empty = bare(owner, client, wanted.name, method, now)
            empty = empty if once is None else replace(empty, id=once.id)
            if granted is None:
                secret = filled(empty, client, wanted, self._schedule, now)
            else:
                secret = with_state(granted.in_secret(empty, self._schedule), client, wanted, self._schedule, now)
            await AuthSecrets(scope.unit).add(secret)
            await Outbox(scope.unit).add(EventType.secret_created, created_facts(secret, now))
            await tell_missing_scopes(scope.unit, (), secret, now)
            scope.audit_target("auth-secret", secret.id)
            return self._view(scope, secret, client)

    async def change(
        self, who: Principal, workspace_id: str, secret_id: str, new: Callable[[AuthSecret], ChangedSecret]
    ) -> SecretView:
        """Change name, credentials or state; oauth2 credentials are merged key by key (contract 15.2).

        Where the auth client's grant needs no person and something else is filled in for it, or asked for, the provider
        is asked for a token first.

        Args:
            who: the caller.
            workspace_id: where it is.
            secret_id: the secret.
            new: checks the body against the stored secret and makes a command of it.

        Raises:
            NotFound: the workspace has no such secret.
            ValidationFailed: the body or the credentials are wrong, or another auth client is named.
            StateConflict: somebody else has filled in something else while the provider was asked.
            ProviderError, ProviderUnavailable: the provider gives no token; nothing was changed.
        """
        granted = await self._direct_grants.again(who, workspace_id, secret_id, new)
        try:
            return await self._change(who, workspace_id, secret_id, new, granted)
        except DatabaseUnavailable:  # it may have been stored
            raise
        except KeyrackError:
            if granted is not None:
                await self._direct_grants.discard_beside(
                    granted, SecretOwner(granted.tenant_id, workspace_id, who.id), secret_id
                )
            raise

    async def _change(
        self,
        who: Principal,
        workspace_id: str,
        secret_id: str,
        new: Callable[[AuthSecret], ChangedSecret],
        granted: Granted | None,
    ) -> SecretView:
        async with self._access.workspace(who, workspace_id, "secret.edit") as scope:
            scope.require(_EDIT)
            stored = await _find(scope, secret_id, locked=True)
            await require_thawed(scope.unit, stored.tenant_id, stored.auth_client_id)
            wanted = new(stored)
            client = await find_usable(scope.unit, stored.auth_client_id)
            if client is None:
                raise RuntimeError("a secret's auth client is gone though it is referred to")
            before, now = stored, self._clock()
            if granted is not None:
                granted.require_current(stored)
                stored, wanted = granted.in_secret(stored, self._schedule), replace(wanted, credentials=None)
            secret = changed(stored, client, wanted, self._schedule, now)
            replaced = replaces_refresh_token(stored, secret.credentials) and is_oauth2(secret.type)
            await AuthSecrets(scope.unit).replace(secret, refresh_token_replaced=replaced or granted is not None)
            await tell_missing_scopes(scope.unit, before.missing_scopes, secret, now)
            scope.audit_target("auth-secret", secret.id)
            return self._view(scope, secret, client)

    async def delete(self, who: Principal, workspace_id: str, secret_id: str) -> None:
        """Delete a secret that no active flow names; inactive ones keep naming it (contract 15.2).

        Its token is revoked at the provider behind the scenes where that is possible (RFC 7009).

        Raises:
            NotFound: the workspace has no such secret.
            InUse: an active flow names it.
        """
        async with self._access.workspace(who, workspace_id, "secret.delete") as scope:
            scope.require(_DELETE)
            secret = await _find(scope, secret_id, locked=True)
            flows = await Usages(scope.unit).active_flows_with_secret(secret_id)
            if flows:
                raise in_use("the secret", len(flows), await nameable(scope, flows))
            client = await find_usable(scope.unit, secret.auth_client_id)
            if client is not None and is_oauth2(secret.type):
                await enqueue(scope.unit, secret, client)
            await AuthSecrets(scope.unit).remove(secret_id)
            scope.audit_target("auth-secret", secret_id)

    async def refresh(
        self, who: Principal, workspace_id: str, secret_id: str, arrived: float | None = None
    ) -> SecretView:
        """Refresh a secret now, or wait for the refresh that is running (contract 15.3).

        Args:
            who: the caller.
            workspace_id: where it is.
            secret_id: the secret.
            arrived: when the request came in, a reading of `time.monotonic`; None: now. Whatever a provider answers
                after that satisfies it (contract 0.20).

        Raises:
            NotFound: the workspace has no such secret.
            NotRefreshable: it is not of an oauth2 type or has no refresh token.
            ProviderError: the provider refused; `failure` has what it said.
            ProviderUnavailable: the provider gave no answer in time.
        """
        async with self._access.workspace(who, workspace_id, "secret.refresh") as scope:
            scope.require(_REFRESH)
            stored = await _find(scope, secret_id)
            await require_thawed(scope.unit, stored.tenant_id, stored.auth_client_id)
            scope.audit_target("auth-secret", secret_id)
        secret = await self._freshness.refresh(stored, arrived)
        view = self._view(scope, secret, await self._client(secret))
        if view.credentials_visible:
            self._last_use.note(secret.tenant_id, secret.id)
        return view

    async def _client(self, secret: AuthSecret) -> AuthClient | None:
        async with self._store.unit(secret.tenant_id) as unit:
            return await find_usable(unit, secret.auth_client_id)

    async def _views(self, unit: Unit, found: Sequence[AuthSecret], *, visible: bool) -> Sequence[SecretView]:
        now = self._clock()
        clients = await find_usable_among(unit, [each.auth_client_id for each in found if depends_on_client(each, now)])
        frozen = await Freezes(unit).frozen()
        return [
            SecretView(
                each,
                current_status(each, clients.get(each.auth_client_id), now),
                credentials_visible=visible and not frozen.covers(each.tenant_id, each.auth_client_id),
            )
            for each in found
        ]

    def _view(self, scope: Scope, secret: AuthSecret, client: AuthClient | None) -> SecretView:
        return SecretView(secret, current_status(secret, client, self._clock()), scope.allows(GET_SECRET_CREDENTIALS))


async def _find(scope: Scope, secret_id: str, *, locked: bool = False) -> AuthSecret:
    secret = await AuthSecrets(scope.unit).find(secret_id, locked=locked)
    if secret is None or secret.workspace_id != scope.place.workspace_id:
        raise NotFound("there is no such secret in this workspace")
    return secret


async def _auth_method(unit: Unit, client: AuthClient) -> str | None:
    """Return how the client authenticates if only a linked component declares it (contract 20.3); else None."""
    if client.credentials.get("client_auth") is not None:
        return None
    for component in await ComponentRows(unit).list(ids=client.component_ids):
        oauth2 = None if component.latest is None else parse_descriptor(component.latest.descriptor).oauth2
        if (method := declared_method(client, oauth2)) is not None:
            return method
    return None


def require_validity(secret: AuthSecret, said: SecretStatus, min_validity: int, now: datetime) -> None:
    """Insist that a secret's token is good for some time; one without a time of expiry always is.

    Args:
        secret: as it would be answered.
        said: what is true of it now.
        min_validity: seconds.
        now: the current time.

    Raises:
        TokenNotValid: it is in `error`, or expires too early; `meta` says why, never with a token.
    """
    expires_at = secret.expires_at
    late = expires_at is not None and expires_at - now < timedelta(seconds=min_validity)
    if said.state is SecretState.ready and not late:
        return
    facts = {
        "state": said.state.value,
        "error": said.error,
        "error_code": said.error_code and said.error_code.value,
        "expires_at": expires_at and iso(expires_at),
    }
    detail = f"The token is not valid for another {min_validity} s."
    if said.error:
        detail = f"{detail} {said.error}"
    raise TokenNotValid(detail, meta={name: value for name, value in facts.items() if value is not None})
