"""Auth secrets: tokens and keys of users, encrypted, with the state of their refreshing (contract section 15).

What the refresh engine writes under its lease is in `keyrack.store.leases`; lists are in `keyrack.store.secret_list`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, ProviderAccount, SecretState
from keyrack.store.core.paging import search_key
from keyrack.store.core.search_words import add_words
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit, referring
from keyrack.store.schema import auth_secrets

SEALED, SEALED_KEY = "sealed_credentials", "sealed_dpop_key"
_SEARCHED = 200
SUPERSEDED: Mapping[str, Any] = {
    "fence": auth_secrets.c.fence + 1,
    "grant_generation": auth_secrets.c.grant_generation + 1,
    "lease_owner": None,
    "lease_until": None,
}
"""What is written with another refresh token: whoever is refreshing with the old one can no longer write."""


_s = auth_secrets.c
_OF_ID = select(*_s).where(_s.id == bindparam("id"))
_BY_ID = TenantQuery(auth_secrets, _OF_ID)
_LOCKED = TenantQuery(auth_secrets, _OF_ID.with_for_update())
_SOME_BY_ID = select(*_s).where(_s.id.in_(bindparam("ids", expanding=True))).order_by(_s.id)
_ALL_FOUND = TenantQuery(auth_secrets, _SOME_BY_ID, scans=True)
_ALL_LOCKED = TenantQuery(auth_secrets, _SOME_BY_ID.with_for_update(), scans=True)
_HELD = TenantQuery(
    auth_secrets,
    referring(select(_s.id).where(_s.id.in_(bindparam("ids", expanding=True))).order_by(_s.id), auth_secrets),
)
_SUPERSEDING = TenantChange(auth_secrets, update(auth_secrets).where(_s.id == bindparam("id")).values(**SUPERSEDED))
_REMOVAL = TenantChange(auth_secrets, delete(auth_secrets).where(_s.id == bindparam("id")))
_SOME_OF = TenantQuery(
    auth_secrets,
    select(*_s)
    .where(_s.workspace_id == bindparam("workspace"))
    .order_by(_s.id)
    .limit(bindparam("most"))
    .with_for_update(),
    scans=True,
)
_CLIENTS_IN = TenantQuery(
    auth_secrets,
    select(_s.auth_client_id).where(_s.workspace_id.in_(bindparam("workspaces", expanding=True))).distinct(),
    scans=True,
)
_HANDING_OVER = TenantChange(
    auth_secrets,
    update(auth_secrets)
    .where(_s.workspace_id == bindparam("workspace"), _s.user_id == bindparam("user"))
    .values(user_id=bindparam("successor")),
    scans=True,
)
_OF_CLIENT = select(_s.id).where(_s.auth_client_id == bindparam("client")).order_by(_s.id).limit(bindparam("most"))
_IDENTIFYING = TenantChange(
    auth_secrets,
    update(auth_secrets)
    .where(_s.id == bindparam("id"), _s.grant_generation == bindparam("grant"))
    .values(account_label=bindparam("label"), account_subject=bindparam("subject"), userinfo_uri=bindparam("uri")),
)
_ATTACHED = TenantQuery(auth_secrets, _OF_CLIENT, scans=True)
_ATTACHED_IN = TenantQuery(
    auth_secrets, _OF_CLIENT.where(_s.workspace_id.in_(bindparam("workspaces", expanding=True))), scans=True
)


class AuthSecrets(TenantTable):
    """The auth secrets of the unit's tenant."""

    table = auth_secrets

    async def add(self, secret: AuthSecret) -> None:
        """Store a new secret."""
        await self.insert(await self._row(secret))

    async def add_many(self, secrets: Sequence[AuthSecret]) -> None:
        """Store new secrets, those of one place and client together.

        Raises:
            RelatedNotFound: something that one belongs to is not there, or another tenant's.
        """
        checked, rest = set(), list[dict[str, Any]]()
        for secret in secrets:
            parents = (secret.workspace_id, secret.user_id, secret.auth_client_id)
            if parents in checked:
                rest.append(await self._row(secret))
            else:  # which looks after what it belongs to
                checked.add(parents)
                await self.insert(await self._row(secret))
        if rest:
            await self.insert_each(rest)
            mine = {"tenant_id": self.unit.tenant_id}
            await add_words(self.unit.connection, auth_secrets, [{**row, **mine} for row in rest])

    async def _row(self, secret: AuthSecret) -> dict[str, Any]:
        return {
            "id": secret.id,
            "workspace_id": secret.workspace_id,
            "user_id": secret.user_id,
            "auth_client_id": secret.auth_client_id,
            "type": secret.type,
            "fence": 0,
            "created_at": secret.created_at,
            **await secret_columns(self.unit, secret),
        }

    async def find(self, secret_id: str, *, locked: bool = False) -> AuthSecret | None:
        """Return one by its id, or None.

        Args:
            secret_id: its id.
            locked: keep others from changing it until the transaction ends.
        """
        row = await self.ask_one(_LOCKED if locked else _BY_ID, id=secret_id)
        return None if row is None else await read_secret(self.unit, row)

    async def find_many(self, secret_ids: Sequence[str], *, locked: bool = False) -> Mapping[str, AuthSecret]:
        """Return those of some that are there, by id.

        Args:
            secret_ids: which.
            locked: keep others from changing them until the transaction ends.
        """
        rows = await self.ask(_ALL_LOCKED if locked else _ALL_FOUND, ids=secret_ids)
        return {row.id: await read_secret(self.unit, row) for row in rows}

    async def find_without_credentials(self, secret_id: str) -> AuthSecret | None:
        """Return one by its id, its credentials left sealed, or None."""
        row = await self.ask_one(_BY_ID, id=secret_id)
        return None if row is None else secret_of(row, {})

    async def hold(self, secret_ids: Sequence[str]) -> frozenset[str]:
        """Keep secrets that a flow is going to use from being deleted until the transaction ends.

        Returns:
            The ids of those that exist.
        """
        return frozenset(row.id for row in await self.ask(_HELD, ids=secret_ids))

    async def replace(self, secret: AuthSecret, *, refresh_token_replaced: bool) -> None:
        """Store a secret that a person or a consent changed.

        Args:
            secret: with its new values.
            refresh_token_replaced: it has another refresh token than before, or none any more. A refresh that is
                running with the old one is then cut off: its lease ends and what it brings is not written (contract
                0.20, 15.2, 20.4). Whatever else is changed, the answer of a running refresh still counts.
        """
        values = await secret_columns(self.unit, secret)
        if refresh_token_replaced:
            del values["grant_generation"]
            await self.make(_SUPERSEDING, id=secret.id)
        await self.set_columns(secret.id, values)

    async def identify(self, secret: AuthSecret, account: ProviderAccount, uri: str | None) -> None:
        """Note whose account at the provider a secret is, and where that was asked, if the grant is still the same."""
        about = {"label": account.label, "subject": account.subject, "uri": uri}
        await self.make(_IDENTIFYING, id=secret.id, grant=secret.grant_generation, **about)

    async def remove(self, secret_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.make(_REMOVAL, id=secret_id) == 1

    async def lock_some_of(self, workspace_id: str, limit: int) -> Sequence[AuthSecret]:
        """Return the first secrets of a workspace, kept from changing until the transaction ends."""
        rows = await self.ask(_SOME_OF, workspace=workspace_id, most=limit)
        return [await read_secret(self.unit, row) for row in rows]

    async def clients_in(self, workspace_ids: Sequence[str]) -> Sequence[str]:
        """Return the ids of the auth clients that workspaces have secrets of."""
        return sorted(row.auth_client_id for row in await self.ask(_CLIENTS_IN, workspaces=workspace_ids))

    async def hand_over(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's secrets in a workspace to another user (contract section 10)."""
        await self.make(_HANDING_OVER, workspace=workspace_id, user=user_id, successor=successor)

    async def attached_to(
        self, auth_client_id: str, workspace_ids: Collection[str] | None, *, limit: int
    ) -> Sequence[str]:
        """List by id the tenant's secrets that are attached to an auth client.

        Args:
            auth_client_id: the client.
            workspace_ids: only those in these workspaces; None for all.
            limit: how many at most.
        """
        if workspace_ids is None:
            rows = await self.ask(_ATTACHED, client=auth_client_id, most=limit)
        else:
            rows = await self.ask(_ATTACHED_IN, client=auth_client_id, most=limit, workspaces=list(workspace_ids))
        return [row.id for row in rows]


def name_key(name: str) -> str:
    """Return what the beginning of a name is compared with: no more than an index takes."""
    return search_key(name[:_SEARCHED])[:_SEARCHED]


async def read_secret(unit: Unit, row: "Row[Any]") -> AuthSecret:
    """Return a row of `auth_secrets` as a value, its credentials and its key in clear."""
    secret = await read_without_key(unit, row)
    if row.sealed_dpop_key is None:
        return secret
    key = await unit.open(auth_secrets, row.id, SEALED_KEY, row.sealed_dpop_key)
    return replace(secret, dpop_key=Secret(json.dumps(key)))


async def read_without_key(unit: Unit, row: "Row[Any]") -> AuthSecret:
    """Return a row of `auth_secrets` as a value that is only shown: its credentials in clear, its key left out."""
    return secret_of(row, await unit.open(auth_secrets, row.id, SEALED, row.sealed_credentials))


def secret_of(row: Any, credentials: Json) -> AuthSecret:
    """Return a row of `auth_secrets` and its opened credentials as a value; its key stays sealed, and is left out."""
    return AuthSecret(
        id=row.id,
        tenant_id=row.tenant_id,
        workspace_id=row.workspace_id,
        user_id=row.user_id,
        auth_client_id=row.auth_client_id,
        name=row.name,
        type=row.type,
        credentials=credentials,
        auth_method=row.auth_method,
        refreshable=row.refreshable,
        state=SecretState(row.state),
        error=row.error,
        error_code=None if row.error_code is None else ErrorCode(row.error_code),
        error_at=row.error_at,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        generation=row.generation,
        due_at=row.due_at,
        retry_at=row.retry_at,
        refreshed_at=row.refreshed_at,
        ambiguous_since=row.ambiguous_since,
        failure=None if row.failure is None else msgspec.convert(row.failure, Failure),
        failure_count=row.failure_count,
        failed_at=row.failed_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        requested_scopes=tuple(row.requested_scopes or ()),
        missing_scopes=tuple(row.missing_scopes or ()),
        grant_generation=row.grant_generation,
        stated_lifetime=row.stated_lifetime,
        lifetime_guessed=row.lifetime_guessed,
        backoff_count=row.backoff_count,
        answered_ms=row.answered_ms,
        connected_at=row.connected_at,
        account=ProviderAccount(row.account_label, row.account_subject),
        userinfo_uri=row.userinfo_uri,
        redirect_uri=row.redirect_uri,
        refresh_token_expires_at=row.refresh_token_expires_at,
        grant_expires_at=row.grant_expires_at,
        cutover_batch_id=row.cutover_batch_id,
    )


async def secret_columns(unit: Unit, secret: AuthSecret) -> dict[str, Any]:
    """Return the changeable columns of a secret, its credentials and its key sealed."""
    return {
        "name": secret.name,
        "name_key": name_key(secret.name),
        "sealed_credentials": await unit.seal(auth_secrets, secret.id, SEALED, secret.credentials),
        "sealed_dpop_key": await _sealed_key(unit, secret),
        "auth_method": secret.auth_method,
        "refreshable": secret.refreshable,
        "requested_scopes": list(secret.requested_scopes) or None,
        "missing_scopes": list(secret.missing_scopes) or None,
        "state": secret.state.value,
        "error": secret.error,
        "error_code": None if secret.error_code is None else secret.error_code.value,
        "error_at": secret.error_at,
        "issued_at": secret.issued_at,
        "expires_at": secret.expires_at,
        "generation": secret.generation,
        "due_at": secret.due_at,
        "retry_at": secret.retry_at,
        "refreshed_at": secret.refreshed_at,
        "ambiguous_since": secret.ambiguous_since,
        "failure": None if secret.failure is None else msgspec.to_builtins(secret.failure),
        "failure_count": secret.failure_count,
        "failed_at": secret.failed_at,
        "grant_generation": secret.grant_generation,
        "stated_lifetime": secret.stated_lifetime,
        "lifetime_guessed": secret.lifetime_guessed,
        "backoff_count": secret.backoff_count,
        "answered_ms": secret.answered_ms,
        "connected_at": secret.connected_at,
        "account_label": secret.account.label,
        "account_subject": secret.account.subject,
        "userinfo_uri": secret.userinfo_uri,
        "redirect_uri": secret.redirect_uri,
        "refresh_token_expires_at": secret.refresh_token_expires_at,
        "grant_expires_at": secret.grant_expires_at,
        "cutover_batch_id": secret.cutover_batch_id,
        "updated_at": unit.clock(),
    }


async def _sealed_key(unit: Unit, secret: AuthSecret) -> bytes | None:
    if secret.dpop_key is None:
        return None
    return await unit.seal(auth_secrets, secret.id, SEALED_KEY, json.loads(secret.dpop_key.reveal()))
