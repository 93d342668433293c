"""Health of an auth client at its provider, and what it means for its secrets (contract 0.13).

A global client has secrets in many tenants. What is done to those here follows from the client alone and reads no
tenant's values.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, null, select, type_coerce, update

from keyrack.clock import epoch_ms
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import auth_clients, auth_secrets

_TENTH = 10
_SUSPECT, _OWNER, _PROVEN = "suspect", "suspect_owner", "suspect_proven"
"""In the rejection of a client that is only suspected: the secret whose grant was refused, whose it is, and whether it
ever worked."""

_c, _s = auth_clients.c, auth_secrets.c
_SAME = update(auth_clients).where(_c.id == bindparam("id"), _c.updated_at == bindparam("seen"))

_REJECTION = TenantChange(
    auth_clients,
    _SAME.where(_c.rejected_at.is_(None)).values(
        rejected_at=bindparam("now"), rejection=bindparam("reason"), probe_at=bindparam("next_probe")
    ),
)
_REJECTION_AGAIN = TenantChange(
    auth_clients, _SAME.values(rejection=bindparam("reason"), probe_at=bindparam("next_probe"))
)
_LOCKED = TenantQuery(auth_clients, select(*_c).where(_c.id == bindparam("id")).with_for_update())
_NO_SUSPICION = TenantChange(
    auth_clients,
    update(auth_clients).where(_c.id == bindparam("id"), _c.rejected_at.is_(None)).values(rejection=null()),
)
_FORGIVING = TenantChange(
    auth_clients,
    update(auth_clients)
    .where(_c.id == bindparam("id"), _c.rejected_at.is_not(None))
    .values(rejected_at=null(), rejection=null(), probe_at=bindparam("now", type_=_c.probe_at.type)),
)
_RECOVERY = TenantChange(
    auth_clients,
    _SAME.where(_c.probe_at.is_not(None)).values(rejected_at=null(), rejection=null(), probe_at=null()),
)
_PAUSE = Change(
    update(auth_secrets)
    .where(_s.auth_client_id == bindparam("id"), _s.due_at.is_not(None), _s.refreshable)
    .values(due_at=null()),
    scans=True,
)


def _revival() -> Change:
    expiry, issued = type_coerce(_s.expires_at, BigInteger), type_coerce(_s.issued_at, BigInteger)
    now: ColumnElement[int] = bindparam("now_ms", type_=BigInteger)
    lead: ColumnElement[int] = bindparam("lead_ms", type_=BigInteger)
    tenth = (expiry - issued) // _TENTH
    due = expiry - case((tenth < lead, tenth), else_=lead)
    paused = (_s.auth_client_id == bindparam("id"), _s.refreshable, _s.due_at.is_(None), _s.error_code.is_(None))
    return Change(
        update(auth_secrets)
        .where(*paused)
        .values(
            due_at=case((due <= now, now), else_=due),
            retry_at=null(),
            failure=null(),
            failure_count=0,
            failed_at=null(),
            backoff_count=0,
        ),
        scans=True,
    )


_REVIVAL = _revival()


class RejectionResult(StrEnum):
    """What became of a rejection."""

    paused = "paused"
    """The client was well until now; its secrets wait from here on."""
    known = "known"
    """It was rejected before."""
    changed = "changed"
    """It is another by now: what was rejected is gone."""
    doubted = "doubted"
    """It may be the fault of the one grant; the client is left as it is."""


class AuthClientHealth(TenantTable):
    """What providers said about clients of the unit's owner: a tenant, or the installation for global clients."""

    table = auth_clients

    async def reject(self, client: AuthClient, rejection: Json, probe_at: datetime) -> RejectionResult:
        """Note that the provider rejects a client, and pause its secrets.

        Locks the client and then its secrets, so no transaction that has locked one of these may call it.

        Args:
            client: as it was when the request was made.
            rejection: what the provider said.
            probe_at: when an explicit refresh may try again.
        """
        said = {"id": client.id, "seen": client.updated_at, "reason": rejection, "next_probe": probe_at}
        if not await self.make(_REJECTION, **said, now=self.unit.clock()):
            known = await self.make(_REJECTION_AGAIN, **said)
            return RejectionResult.known if known else RejectionResult.changed
        await _PAUSE.run(self.unit.connection, id=client.id)
        return RejectionResult.paused

    async def suspect(self, client: AuthClient, rejection: Json, secret: AuthSecret) -> bool:
        """Note that a client was refused where the grant alone may be at fault.

        Anybody who may create secrets can make some whose refresh tokens are worth nothing. So a second grant speaks
        against the client only if it is another user's than the first, or if both have been refreshed with it before.

        Args:
            client: as it was when the request was made.
            rejection: what the provider said.
            secret: whose grant it was.

        Returns:
            Whether nothing more than this one grant speaks against the client; False if another one has met the same
            since the client last worked, if it is rejected already, or was changed meanwhile.
        """
        row = await self.ask_one(_LOCKED, id=client.id)
        if row is None or row.rejected_at is not None or row.updated_at != client.updated_at:
            return False
        proven = _was_refreshed(secret)
        first = row.rejection or {}
        if first.get(_SUSPECT, secret.id) != secret.id:
            if first.get(_OWNER) != secret.user_id or (proven and first.get(_PROVEN)):
                return False
            if first.get(_PROVEN):
                return True  # a grant that never worked does not take the place of one that did
        noted = rejection | {_SUSPECT: secret.id, _OWNER: secret.user_id, _PROVEN: proven}
        await self.set_columns(client.id, {"rejection": noted})
        return True

    async def forgive(self, client_id: str) -> None:
        """Let a client that is rejected be asked for again; whether it works now is still to be seen (`probe_at`)."""
        await self.make(_FORGIVING, id=client_id, now=self.unit.clock())

    async def clear(self, client_id: str) -> None:
        """Forget what was suspected of a client, because it works."""
        await self.make(_NO_SUSPICION, id=client_id)

    async def recovered(self, client: AuthClient) -> bool:
        """Note that the provider took a client that it had rejected.

        Args:
            client: as it was when the request was made.

        Returns:
            Whether this is the first time since, and the client has not been changed meanwhile.
        """
        return await self.make(_RECOVERY, id=client.id, seen=client.updated_at) == 1

    async def revive(self, client_id: str, lead: timedelta) -> None:
        """Let a client that was changed, or works again, refresh its secrets: those whose token ends first come first.

        What failed because of the client is forgotten; a grant that is dead stays dead. As with `reject`, the
        transaction must have locked the client before it locks any of its secrets.

        Args:
            client_id: the client.
            lead: how long before its expiry a token is due, or its last tenth if that is shorter (contract 0.12;
                `KEYRACK_REFRESH_LEAD`). One whose time has come is due now.
        """
        now_ms, lead_ms = epoch_ms(self.unit.clock()), lead // timedelta(milliseconds=1)
        await _REVIVAL.run(self.unit.connection, id=client_id, now_ms=now_ms, lead_ms=lead_ms)

    async def learn(self, client_id: str, lifetime: int) -> None:
        """Remember how many seconds a client's tokens live, and when that was seen (contract 0.14)."""
        seen = {"learned_lifetime": lifetime, "learned_at": self.unit.clock()}
        await self.set_columns(client_id, seen)


def _was_refreshed(secret: AuthSecret) -> bool:
    """Tell whether the tokens of a secret came from a refresh: not from somebody's hand, nor from a consent."""
    refreshed, issued = secret.refreshed_at, secret.issued_at
    return refreshed is not None and (issued is None or refreshed >= issued)
