"""Running consents with what a callback needs, encrypted; a state is consumed once (contract 20.2, 0.17)."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, StateConflict
from keyrack.model import Json
from keyrack.model.consents import AuthorizationContext, Consent, ConsentIntroduction, ConsentStatus
from keyrack.store.core.database_errors import ConstraintViolated
from keyrack.store.core.unit import TenantTable, is_unique_clash
from keyrack.store.schema import consents

_ALWAYS_STORED = (
    "protocol", "redirect_uri", "return_url", "client_id", "token_endpoint", "issuer", "sends_iss", "nonce", "name",
    "scope", "additional_params", "fields", "auth_method", "long_lived",
)  # fmt: skip
"""Members of a context that are stored as they are, whatever they hold."""
_STORED_IF_KNOWN = ("authorization_url", "link")
_KEPT = ("redirect_uri", "return_url")
"""What a second delivery of the callback is answered with (contract 0.21)."""


class ConsentRows(TenantTable):
    """The consents of the unit's tenant."""

    table = consents

    async def add(self, consent: Consent, state_hash: str, link_hash: str | None = None) -> None:
        """Store a pending consent under the hash of its state and, if it is bound, of its link."""
        await self.insert(
            {
                "id": consent.id,
                "workspace_id": consent.workspace_id,
                "user_id": consent.user_id,
                "component_id": consent.component_id,
                "credential_id": consent.credential_id,
                "auth_client_id": consent.auth_client_id,
                "auth_secret_id": consent.auth_secret_id,
                "status": consent.status.value,
                "state_hash": state_hash,
                "link_hash": link_hash,
                "sealed_memory": await self._seal(consent.id, _to_json(consent.context)),
                "created_at": consent.created_at,
                "expires_at": consent.expires_at,
            }
        )

    async def find(self, consent_id: str) -> Consent | None:
        """Return a consent, or None."""
        row = await self.first(self.select().where(consents.c.id == consent_id))
        return None if row is None else await self._read(row)

    async def by_state(self, state_hash: str) -> Consent | None:
        """Return the consent of a state, however far it has come, or None."""
        row = await self.first(self.select().where(consents.c.state_hash == state_hash))
        return None if row is None else await self._read(row)

    async def by_link(self, link_hash: str) -> Consent | None:
        """Return the consent of a link on our host, however far it has come, or None."""
        row = await self.first(self.select().where(consents.c.link_hash == link_hash))
        return None if row is None else await self._read(row)

    async def bind(self, consent_id: str, browser_hash: str, now: datetime) -> bool:
        """Let only one browser finish a pending bound consent from now on; tell whether there is such a consent."""
        c = consents.c
        waiting = (
            c.id == consent_id,
            c.status == ConsentStatus.pending.value,
            c.link_hash.is_not(None),
            c.expires_at > now,
        )
        return await self.run(self.update().where(*waiting).values(browser_hash=browser_hash)) == 1

    async def await_callback(self, consent_id: str, state_hash: str, context: AuthorizationContext) -> None:
        """Let the callback of a pending consent find it under another hash, with another context, from now on.

        Raises:
            AlreadyExists: another consent is found under it.
            NotFound: the consent is gone.
        """
        sealed = await self._seal(consent_id, _to_json(context))
        pending = (consents.c.id == consent_id, consents.c.status == ConsentStatus.pending.value)
        changed = self.update().where(*pending).values(state_hash=state_hash, sealed_memory=sealed)
        try:
            if await self.run(changed) == 0:
                raise NotFound("the consent is gone")
        except ConstraintViolated as error:
            if is_unique_clash(error):
                raise AlreadyExists from None
            raise

    async def abandon(self, consent_id: str, error: str) -> None:
        """Note why a consent failed before anybody was sent to the provider, and forget its context."""
        values = {"status": ConsentStatus.failed.value, "error": error}
        await self._end(consent_id, values, {}, ConsentStatus.pending)

    async def consume(self, state_hash: str, now: datetime, browser_hash: str | None = None) -> Consent | None:
        """Take the pending consent of a state, at most once in the whole installation.

        Args:
            state_hash: under which it is stored.
            now: the time.
            browser_hash: the browser that comes back, which a bound consent must be bound to.

        Returns:
            The consent, now `exchanging`; None if there is none, or it was taken before, or it has expired.
        """
        pending = (
            consents.c.state_hash == state_hash,
            consents.c.status == ConsentStatus.pending.value,
            consents.c.expires_at > now,
            or_(consents.c.link_hash.is_(None), consents.c.browser_hash == browser_hash),
        )
        taken = {"status": ConsentStatus.exchanging.value, "browser_hash": browser_hash}
        if await self.run(self.update().where(*pending).values(taken)) == 0:
            return None
        return await self.by_state(state_hash)

    async def hold(self, consent_id: str) -> None:
        """Keep others from finishing a consent until the transaction ends.

        Raises:
            StateConflict: somebody else has finished it.
        """
        c = consents.c
        query = self.select(c.id).where(c.id == consent_id, c.status == ConsentStatus.exchanging.value)
        if await self.first(query.with_for_update()) is None:
            raise StateConflict("this connection was finished elsewhere")

    async def complete(self, consent_id: str, result_id: str, context: AuthorizationContext) -> None:
        """Note what came out of a consent, and forget its context but for where the browser is sent back to."""
        await self._end(consent_id, {"status": ConsentStatus.completed.value, "result_id": result_id}, _kept(context))

    async def fail(self, consent_id: str, error: str, context: AuthorizationContext) -> None:
        """Note why a consent failed; as `complete`."""
        await self._end(consent_id, {"status": ConsentStatus.failed.value, "error": error}, _kept(context))

    async def _end(
        self, consent_id: str, values: Json, kept: Json, status: ConsentStatus = ConsentStatus.exchanging
    ) -> None:
        forgotten = {"sealed_memory": await self._seal(consent_id, kept), "ended_at": self.unit.clock()}
        under_way = (consents.c.id == consent_id, consents.c.status == status.value)
        await self.run(self.update().where(*under_way).values(values | forgotten))

    async def _seal(self, consent_id: str, context: Json) -> bytes:
        return await self.unit.seal(consents, consent_id, "sealed_memory", context)

    async def _read(self, row: "Row[Any]") -> Consent:
        return Consent(
            id=row.id,
            tenant_id=row.tenant_id,
            workspace_id=row.workspace_id,
            user_id=row.user_id,
            component_id=row.component_id,
            credential_id=row.credential_id,
            auth_client_id=row.auth_client_id,
            auth_secret_id=row.auth_secret_id,
            bound=row.link_hash is not None,
            browser_hash=row.browser_hash,
            ended_at=row.ended_at,
            status=ConsentStatus(row.status),
            error=row.error,
            result_id=row.result_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
            context=_from_json(await self.unit.open(consents, row.id, "sealed_memory", row.sealed_memory)),
        )


def _to_json(context: AuthorizationContext) -> Json:
    """Return how a context is stored: with the members that every version since the first has read."""
    stored: Json = {name: getattr(context, name) for name in _ALWAYS_STORED}
    stored["verifier"] = None if context.verifier is None else context.verifier.reveal()
    stored |= {name: getattr(context, name) for name in _STORED_IF_KNOWN if getattr(context, name) is not None}
    if context.temporary is not None:
        stored["temporary"] = [secret.reveal() for secret in context.temporary]
    if context.introduction is not None:
        stored["introduction"] = asdict(context.introduction)
    return stored


def _from_json(stored: Json) -> AuthorizationContext:
    """Return a stored context; what is not in it has its default."""
    verifier, temporary, told = (stored.get(name) for name in ("verifier", "temporary", "introduction"))
    return AuthorizationContext(
        **{name: stored[name] for name in (*_ALWAYS_STORED, *_STORED_IF_KNOWN) if name in stored},
        verifier=None if verifier is None else Secret(verifier),
        temporary=None if temporary is None else (Secret(temporary[0]), Secret(temporary[1])),
        introduction=None if told is None else ConsentIntroduction(**{**told, "scopes": tuple(told["scopes"])}),
    )


def _kept(context: AuthorizationContext) -> Json:
    return {name: getattr(context, name) for name in _KEPT}
