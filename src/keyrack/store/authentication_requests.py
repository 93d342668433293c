"""Sign-ins that were begun at a tenant's provider, known by the hash of their state; each is answered once."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from keyrack.crypto.secret import Secret
from keyrack.model.single_sign_on import AuthenticationContext, AuthenticationRequest, TestResult
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import authentication_requests

_r = authentication_requests.c

_BY_STATE = TenantQuery(authentication_requests, select(*_r).where(_r.state_hash == bindparam("state")))
_TEST = TenantQuery(
    authentication_requests, select(*_r).where(_r.id == bindparam("id"), _r.user_id == bindparam("user_id"))
)
_TAKING = TenantChange(
    authentication_requests,
    update(authentication_requests)
    .where(_r.id == bindparam("id"), _r.used_at.is_(None), _r.expires_at > bindparam("now"))
    .values(used_at=bindparam("now")),
)
_OVER = TenantChange(authentication_requests, delete(authentication_requests).where(_r.expires_at <= bindparam("now")))


class AuthenticationRequests(TenantTable):
    """Those of the unit's tenant."""

    table = authentication_requests

    async def add(self, request: AuthenticationRequest, state_hash: str) -> None:
        """Store a new one under the hash of its state, and forget those that are over."""
        await self.make(_OVER, now=self.unit.clock())
        asked = request.context
        context = {
            "issuer": asked.issuer, "client_id": asked.client_id, "redirect_uri": asked.redirect_uri,
            "verifier": asked.verifier.reveal(), "nonce": asked.nonce, "next": asked.next,
        }  # fmt: skip
        await self.insert(
            {
                "id": request.id,
                "user_id": request.tester_id,
                "state_hash": state_hash,
                "browser_hash": request.browser_hash,
                "sealed_context": await self.unit.seal(authentication_requests, request.id, "sealed_context", context),
                "created_at": request.created_at,
                "expires_at": request.expires_at,
            }
        )

    async def by_state(self, state_hash: str) -> AuthenticationRequest | None:
        """Return the one that a state belongs to, used or not, or None."""
        row = await self.ask_one(_BY_STATE, state=state_hash)
        return None if row is None else await self._read(row)

    async def test(self, request_id: str, user_id: str) -> AuthenticationRequest | None:
        """Return a test by its id, for who has begun it, or None."""
        row = await self.ask_one(_TEST, id=request_id, user_id=user_id)
        return None if row is None else await self._read(row)

    async def take(self, request_id: str) -> bool:
        """Use one up, at most once in the whole installation; False if it was used, or is over."""
        return await self.make(_TAKING, id=request_id, now=self.unit.clock()) == 1

    async def finish_test(self, request_id: str, result: TestResult) -> None:
        """Keep what came of a test, until it is over."""
        sealed = await self.unit.seal(authentication_requests, request_id, "sealed_result", asdict(result))
        await self.set_columns(request_id, {"sealed_result": sealed})

    async def _read(self, row: "Row[Any]") -> AuthenticationRequest:
        context = await self.unit.open(authentication_requests, row.id, "sealed_context", row.sealed_context)
        result = None
        if row.sealed_result is not None:
            result = await self.unit.open(authentication_requests, row.id, "sealed_result", row.sealed_result)
        return AuthenticationRequest(
            row.id,
            row.user_id,
            row.browser_hash,
            AuthenticationContext(**{**context, "verifier": Secret(context["verifier"])}),
            row.created_at,
            row.expires_at,
            row.used_at,
            None if result is None else TestResult(**result),
        )
