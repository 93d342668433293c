"""Running consents with what a callback needs, encrypted; a state is consumed once (contract 20.2, 0.17)."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, StateConflict
from keyrack.model import Json
from keyrack.model.consents import (
    AuthorizationContext,
    Consent,
    ConsentIntroduction,
    ConsentStatus,
    DeviceCodes,
    PushedParameters,
)
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import consents

_ALWAYS_STORED = (
    "protocol", "redirect_uri", "return_url", "client_id", "token_endpoint", "issuer", "sends_iss", "nonce", "name",
    "scope", "additional_params", "fields", "auth_method", "long_lived",
)  # fmt: skip
"""Members of a context that are stored as they are, whatever they hold."""
_ACCOUNT = ("userinfo_uri", "account_label_paths", "account_subject_paths")
_CALLBACK = ("code_parameter", "state_parameter", "learns", "learned")
_STORED_IF_KNOWN = ("authorization_url", "link", "connect_link_id", *_ACCOUNT, *_CALLBACK)
_TUPLES = (*_ACCOUNT[1:], "learns")
_CODES = ("user_code", "verification_uri", "verification_uri_complete", "interval")
_KEPT = ("redirect_uri", "return_url", "connect_link_id", "state_parameter")
"""What a second delivery of the callback is answered with (contract 0.21)."""

_c = consents.c
_PENDING, _EXCHANGING = ConsentStatus.pending.value, ConsentStatus.exchanging.value

_BY_ID = TenantQuery(consents, select(*_c).where(_c.id == bindparam("id")))
_BY_STATE = TenantQuery(consents, select(*_c).where(_c.state_hash == bindparam("state")))
_BY_LINK = TenantQuery(consents, select(*_c).where(_c.link_hash == bindparam("link")))
_BINDING = TenantChange(
    consents,
    update(consents)
    .where(
        _c.id == bindparam("id"),
        _c.status == _PENDING,
        _c.link_hash.is_not(None),
        _c.expires_at > bindparam("now"),
    )
    .values(browser_hash=bindparam("browser")),
)
_AWAITING = TenantChange(
    consents,
    update(consents)
    .where(_c.id == bindparam("id"), _c.status == _PENDING)
    .values(state_hash=bindparam("state"), sealed_memory=bindparam("sealed")),
)
_RENEWAL = TenantChange(
    consents,
    update(consents)
    .where(_c.id == bindparam("id"), _c.status == _PENDING)
    .values(sealed_memory=bindparam("sealed"), expires_at=bindparam("until")),
)
_TAKING_BY_ID = TenantChange(
    consents, update(consents).where(_c.id == bindparam("id"), _c.status == _PENDING).values(status=_EXCHANGING)
)
_TAKEN = (
    update(consents)
    .where(
        _c.state_hash == bindparam("state"),
        _c.status == _PENDING,
        _c.expires_at > bindparam("now"),
        or_(_c.link_hash.is_(None), _c.browser_hash.is_not_distinct_from(bindparam("browser"))),
    )
    .values(status=_EXCHANGING, browser_hash=bindparam("browser"))
)
_TAKING = TenantChange(consents, _TAKEN)
_TAKING_LEARNED = TenantChange(consents, _TAKEN.values(sealed_memory=bindparam("sealed")))
_HELD = TenantQuery(consents, select(_c.id).where(_c.id == bindparam("id"), _c.status == _EXCHANGING).with_for_update())
_COMPLETION = TenantChange(
    consents,
    update(consents)
    .where(_c.id == bindparam("id"), _c.status == _EXCHANGING)
    .values(
        status=ConsentStatus.completed.value,
        result_id=bindparam("result"),
        sealed_memory=bindparam("sealed"),
        ended_at=bindparam("now"),
    ),
)
_FAILURE = TenantChange(
    consents,
    update(consents)
    .where(_c.id == bindparam("id"), _c.status == bindparam("until_now"))
    .values(
        status=ConsentStatus.failed.value,
        error=bindparam("reason"),
        sealed_memory=bindparam("sealed"),
        ended_at=bindparam("now"),
    ),
)


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
        row = await self.ask_one(_BY_ID, id=consent_id)
        return None if row is None else await self._read(row)

    async def by_state(self, state_hash: str) -> Consent | None:
        """Return the consent of a state, however far it has come, or None."""
        row = await self.ask_one(_BY_STATE, state=state_hash)
        return None if row is None else await self._read(row)

    async def by_link(self, link_hash: str) -> Consent | None:
        """Return the consent of a link on our host, however far it has come, or None."""
        row = await self.ask_one(_BY_LINK, link=link_hash)
        return None if row is None else await self._read(row)

    async def bind(self, consent_id: str, browser_hash: str, now: datetime) -> bool:
        """Let only one browser finish a pending bound consent from now on; tell whether there is such a consent."""
        return await self.make(_BINDING, id=consent_id, now=now, browser=browser_hash) == 1

    async def await_callback(self, consent_id: str, state_hash: str, context: AuthorizationContext) -> None:
        """Let the callback of a pending consent find it under another hash, with another context, from now on.

        Raises:
            AlreadyExists: another consent is found under it.
            NotFound: the consent is gone.
        """
        sealed = await self._seal(consent_id, _to_json(context))
        try:
            if await self.make(_AWAITING, id=consent_id, state=state_hash, sealed=sealed) == 0:
                raise NotFound("the consent is gone")
        except ConstraintViolated as error:
            if error.rule is Rule.unique:
                raise AlreadyExists from None
            raise

    async def renew(self, consent_id: str, context: AuthorizationContext, expires_at: datetime) -> None:
        """Give a pending consent another context, and another end.

        Raises:
            NotFound: it is gone, or not pending any more.
        """
        sealed = await self._seal(consent_id, _to_json(context))
        if await self.make(_RENEWAL, id=consent_id, sealed=sealed, until=expires_at) == 0:
            raise NotFound("the consent is gone")

    async def take(self, consent_id: str) -> bool:
        """Let nobody else finish a pending consent, which is `exchanging` from now on; False if somebody else has."""
        return await self.make(_TAKING_BY_ID, id=consent_id) == 1

    async def abandon(self, consent_id: str, error: str) -> None:
        """Note why a consent failed before anybody was sent to the provider, and forget its context."""
        await self._end(_FAILURE, consent_id, {}, until_now=_PENDING, reason=error)

    async def consume(
        self, state_hash: str, now: datetime, browser_hash: str | None = None, learned: Consent | None = None
    ) -> Consent | None:
        """Take the pending consent of a state, at most once in the whole installation.

        Args:
            state_hash: under which it is stored.
            now: the time.
            browser_hash: the browser that comes back, which a bound consent must be bound to.
            learned: the consent with what its callback has told to be kept, if it has.

        Returns:
            The consent, now `exchanging`; None if there is none, or it was taken before, or it has expired.
        """
        taking, more = _TAKING, dict[str, Any]()
        if learned is not None:
            taking, more = _TAKING_LEARNED, {"sealed": await self._seal(learned.id, _to_json(learned.context))}
        if await self.make(taking, state=state_hash, now=now, browser=browser_hash, **more) == 0:
            return None
        return await self.by_state(state_hash)

    async def hold(self, consent_id: str) -> None:
        """Keep others from finishing a consent until the transaction ends.

        Raises:
            StateConflict: somebody else has finished it.
        """
        if await self.ask_one(_HELD, id=consent_id) is None:
            raise StateConflict("this connection was finished elsewhere")

    async def complete(self, consent_id: str, result_id: str, context: AuthorizationContext) -> None:
        """Note what came out of a consent, and forget its context but for where the browser is sent back to."""
        await self._end(_COMPLETION, consent_id, _kept(context), result=result_id)

    async def fail(self, consent_id: str, error: str, context: AuthorizationContext, until_now: ConsentStatus) -> bool:
        """Note why a consent failed that had this status until now, as `complete`; False if it had another."""
        return await self._end(_FAILURE, consent_id, _kept(context), until_now=until_now.value, reason=error)

    async def _end(self, how: TenantChange, consent_id: str, kept: Json, **values: str) -> bool:
        sealed = await self._seal(consent_id, kept)
        return await self.make(how, id=consent_id, sealed=sealed, now=self.unit.clock(), **values) == 1

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
    if context.dpop_key is not None:
        stored["dpop_key"] = context.dpop_key.reveal()
    if context.temporary is not None:
        stored["temporary"] = [secret.reveal() for secret in context.temporary]
    if context.introduction is not None:
        stored["introduction"] = asdict(context.introduction)
    if context.device is not None:
        codes = {name: getattr(context.device, name) for name in _CODES}
        stored["device"] = {**codes, "device_code": context.device.device_code.reveal()}
    if context.pushed is not None:
        stored["pushed"] = {**asdict(context.pushed), "expires_at": context.pushed.expires_at.isoformat()}
    return stored


def _from_json(stored: Json) -> AuthorizationContext:
    """Return a stored context; what is not in it has its default."""
    verifier, temporary, told = (stored.get(name) for name in ("verifier", "temporary", "introduction"))
    known: dict[str, Any] = {name: stored[name] for name in (*_ALWAYS_STORED, *_STORED_IF_KNOWN) if name in stored}
    known |= {name: tuple(known[name]) for name in _TUPLES if name in known}
    device, pushed = stored.get("device"), stored.get("pushed")
    if device is not None:
        known["device"] = DeviceCodes(**{**device, "device_code": Secret(device["device_code"])})
    if pushed is not None:
        until = datetime.fromisoformat(pushed["expires_at"])
        known["pushed"] = PushedParameters(**{**pushed, "expires_at": until})
    return AuthorizationContext(
        **known,
        verifier=None if verifier is None else Secret(verifier),
        dpop_key=Secret(stored["dpop_key"]) if "dpop_key" in stored else None,
        temporary=None if temporary is None else (Secret(temporary[0]), Secret(temporary[1])),
        introduction=None if told is None else ConsentIntroduction(**{**told, "scopes": tuple(told["scopes"])}),
    )


def _kept(context: AuthorizationContext) -> Json:
    kept = {name: getattr(context, name) for name in _KEPT if getattr(context, name) is not None}
    return kept if context.device is None else {**kept, "protocol": context.protocol}
