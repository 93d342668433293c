"""Rotations of clients' secrets: the other live secret, sealed, and how the rotation stands."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, null, update

from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.rotations import SecretRotation
from keyrack.store.core.unit import TenantChange, TenantTable
from keyrack.store.schema import auth_clients, oauth_clients

SECOND_SECRET = "sealed_second_secret"  # noqa: S105 - the name of a column
"""The column of the secret that is not used."""


def _end(table: Table) -> TenantChange:
    nothing = {name: null() for name in (SECOND_SECRET, "rotation", "rotation_due_at")}
    return TenantChange(
        table,
        update(table)
        .where(table.c.id == bindparam("id"))
        .values(**nothing, updated_at=bindparam("now", type_=table.c.updated_at.type)),
    )


_END: Mapping[Table, TenantChange] = {table: _end(table) for table in (auth_clients, oauth_clients)}


class _Rotations(TenantTable):
    async def store_rotation(
        self, client_id: str, secret: Secret, rotation: SecretRotation, due_at: datetime | None
    ) -> None:
        """Store the secret that is not used, and how the rotation stands. It is a change of the client.

        Args:
            client_id: the client.
            secret: the other one.
            rotation: how it stands.
            due_at: when a worker looks at it; None: never.
        """
        sealed = await self.unit.seal(self.table, client_id, SECOND_SECRET, secret.reveal())
        values = {SECOND_SECRET: sealed, "rotation": as_document(rotation), "rotation_due_at": due_at}
        await self.set_columns(client_id, {**values, "updated_at": self.unit.clock()})

    async def note_trial(self, client_id: str, rotation: SecretRotation, due_at: datetime | None) -> None:
        """Store what was tried; which secret is used, and so the client, is not changed by that."""
        await self.set_columns(client_id, {"rotation": as_document(rotation), "rotation_due_at": due_at})

    async def end_rotation(self, client_id: str) -> None:
        """Forget the secret that is not used."""
        await self.make(_END[self.table], id=client_id, now=self.unit.clock())


class AuthClientRotations(_Rotations):
    """Those of auth clients of the unit's owner."""

    table = auth_clients


class OAuthClientRotations(_Rotations):
    """Those of OAuth clients of the unit's tenant."""

    table = oauth_clients


def as_document(rotation: SecretRotation) -> Json:
    """Return a rotation as it is stored."""
    document: Json = msgspec.to_builtins(rotation)
    return document


def rotation_of(row: Any) -> SecretRotation | None:
    """Return the rotation of a client's row, if its secret is being rotated."""
    return None if row.rotation is None else msgspec.convert(row.rotation, SecretRotation)
