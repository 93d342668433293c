"""What reading a secret asks for before it answers: a token that is still good (contract 0.12)."""

from datetime import datetime, timedelta
from typing import Protocol

from keyrack.clock import iso
from keyrack.errors import TokenNotValid
from keyrack.model.identity import Principal
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.secrets.status import SecretStatus


class Freshness(Protocol):
    """Makes tokens fresh where that is needed."""

    async def before_read(self, who: Principal, secret: AuthSecret, min_validity: int | None) -> AuthSecret:
        """Return a secret as it is to be answered; called without an open transaction, after the caller was let in.

        Args:
            who: the caller.
            secret: as stored.
            min_validity: for how many seconds the token must still be good; None: no matter how long.
        """

    async def refresh(self, secret: AuthSecret, arrived: float | None = None) -> AuthSecret:
        """Refresh a secret because somebody asks for it; called without an open transaction.

        Args:
            secret: as stored.
            arrived: when the request came in, a reading of `time.monotonic`; None: now.

        Raises:
            NotRefreshable: it is not of an oauth2 type or has no refresh token.
            ProviderError, ProviderUnavailable: it could not be refreshed.
        """


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
