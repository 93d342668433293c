"""What reading a secret asks for before it answers: a token that is still good (contract 0.12)."""

from datetime import datetime, timedelta

from keyrack.clock import iso
from keyrack.errors import TokenNotValid
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.secrets.status import SecretStatus


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
