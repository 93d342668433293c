"""Auth secrets: tokens and keys of users, encrypted, with the state of their refreshing (contract section 15).

What the refresh engine writes under its lease is in `keyrack.store.leases`; lists are in `keyrack.store.secret_list`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row

from keyrack.model import Json
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.store.core.unit import TenantTable, Unit, referring
from keyrack.store.schema import auth_secrets

SEALED = "sealed_credentials"
SUPERSEDED: Mapping[str, Any] = {
    "fence": auth_secrets.c.fence + 1,
    "grant_generation": auth_secrets.c.grant_generation + 1,
    "lease_owner": None,
    "lease_until": None,
}
"""What is written with another refresh token: whoever is refreshing with the old one can no longer write."""


class AuthSecrets(TenantTable):
    """The auth secrets of the unit's tenant."""

    table = auth_secrets

    async def add(self, secret: AuthSecret) -> None:
        """Store a new secret."""
        await self.insert(
            {
                "id": secret.id,
                "workspace_id": secret.workspace_id,
                "user_id": secret.user_id,
                "auth_client_id": secret.auth_client_id,
                "type": secret.type,
                "fence": 0,
                "created_at": secret.created_at,
                **await secret_columns(self.unit, secret),
            }
        )

    async def find(self, secret_id: str, *, locked: bool = False) -> AuthSecret | None:
        """Return one by its id, or None.

        Args:
            secret_id: its id.
            locked: keep others from changing it until the transaction ends.
        """
        query = self.select().where(auth_secrets.c.id == secret_id)
        row = await self.first(query.with_for_update() if locked else query)
        return None if row is None else await read_secret(self.unit, row)

    async def hold(self, secret_ids: Sequence[str]) -> frozenset[str]:
        """Keep secrets that a flow is going to use from being deleted until the transaction ends.

        Returns:
            The ids of those that exist.
        """
        s = auth_secrets.c
        query = self.select(s.id).where(s.id.in_(secret_ids)).order_by(s.id)
        return frozenset(row.id for row in await self.all(referring(query, auth_secrets)))

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
            values |= SUPERSEDED
        await self.run(self.update().where(auth_secrets.c.id == secret.id).values(values))

    async def remove(self, secret_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.run(self.delete().where(auth_secrets.c.id == secret_id)) == 1

    async def lock_some_of(self, workspace_id: str, limit: int) -> Sequence[AuthSecret]:
        """Return the first secrets of a workspace, kept from changing until the transaction ends."""
        s = auth_secrets.c
        query = self.select().where(s.workspace_id == workspace_id).order_by(s.id).limit(limit).with_for_update()
        return [await read_secret(self.unit, row) for row in await self.all(query)]

    async def clients_in(self, workspace_ids: Sequence[str]) -> Sequence[str]:
        """Return the ids of the auth clients that workspaces have secrets of."""
        s = auth_secrets.c
        rows = await self.all(self.select(s.auth_client_id).where(s.workspace_id.in_(workspace_ids)).distinct())
        return sorted(row.auth_client_id for row in rows)

    async def hand_over(self, workspace_id: str, user_id: str, successor: str) -> None:
        """Give a user's secrets in a workspace to another user (contract section 10)."""
        own = (auth_secrets.c.workspace_id == workspace_id, auth_secrets.c.user_id == user_id)
        await self.run(self.update().where(*own).values(user_id=successor))

    async def attached_to(
        self, auth_client_id: str, workspace_ids: Collection[str] | None, *, limit: int
    ) -> Sequence[str]:
        """List by id the tenant's secrets that are attached to an auth client.

        Args:
            auth_client_id: the client.
            workspace_ids: only those in these workspaces; None for all.
            limit: how many at most.
        """
        s = auth_secrets.c
        query = self.select(s.id).where(s.auth_client_id == auth_client_id).order_by(s.id).limit(limit)
        if workspace_ids is not None:
            query = query.where(s.workspace_id.in_(workspace_ids))
        return [row.id for row in await self.all(query)]


async def read_secret(unit: Unit, row: "Row[Any]") -> AuthSecret:
    """Return a row of `auth_secrets` as a value, its credentials in clear."""
    return secret_of(row, await unit.open(auth_secrets, row.id, SEALED, row.sealed_credentials))


def secret_of(row: Any, credentials: Json) -> AuthSecret:
    """Return a row of `auth_secrets` and its opened credentials as a value."""
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
    )


async def secret_columns(unit: Unit, secret: AuthSecret) -> dict[str, Any]:
    """Return the changeable columns of a secret, its credentials sealed."""
    return {
        "name": secret.name,
        "sealed_credentials": await unit.seal(auth_secrets, secret.id, SEALED, secret.credentials),
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
        "updated_at": unit.clock(),
    }
