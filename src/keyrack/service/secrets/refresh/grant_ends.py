"""Works out when a grant ends, and when a token is renewed so that the grant does not (decision 38). Pure functions.

What the provider says with its tokens counts before what its profile says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.token_response import parse_lifetime
from keyrack.service.clients.auth_client_profile import lifetimes_of
from keyrack.service.secrets.refresh.schedule import Schedule

_STATED = ("refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in")
"""Members with which providers say how long the refresh token that comes with them lives, in seconds."""


@dataclass(frozen=True, slots=True)
class GrantEnds:
    """When a grant ends, as far as that is known.

    Attributes:
        unused: when its refresh token ends, unless a refresh comes before; where that puts nothing off, not before
            `at_last`.
        at_last: when a new consent is needed in any case.
    """

    unused: datetime | None = None
    at_last: datetime | None = None


def grant_ends(
    secret: AuthSecret, client: AuthClient, credentials: Mapping[str, Any], now: datetime, *, another: bool
) -> GrantEnds:
    """Return when the grant of new tokens ends.

    Args:
        secret: as stored; the time of its consent is the grant's beginning.
        client: the auth client behind it.
        credentials: with the tokens.
        now: when they came.
        another: the refresh token is another one than the secret's.
    """
    if not credentials.get("refresh_token"):
        return GrantEnds()
    said, stated = lifetimes_of(client), _stated(credentials)
    renewable = said.refresh_token is not None or (stated is not None and said.rotates is not False)
    lives = stated or said.refresh_token
    # what was said of a refresh token when it came still holds
    unused = None if another else secret.refresh_token_expires_at
    if lives is not None:
        unused = now + timedelta(seconds=lives)
    at_last = None
    if said.refresh_token_absolute is not None:
        at_last = (secret.connected_at or secret.created_at) + timedelta(seconds=said.refresh_token_absolute)
    if unused is not None and not renewable:
        at_last = min(at_last or unused, unused)
    return GrantEnds(unused, at_last)


def next_refresh(
    secret_id: str,
    client: AuthClient,
    schedule: Schedule,
    issued_at: datetime,
    expires_at: datetime,
    ends: GrantEnds,
) -> datetime:
    """Return when the background refreshes a token: before it ends, and before its grant ends for want of use.

    Args:
        secret_id: whose it is.
        client: the auth client behind it.
        schedule: the operator's choices.
        issued_at: when the tokens came.
        expires_at: when the access token ends.
        ends: when the grant does.
    """
    before = lifetimes_of(client).refresh_before
    if before is None:
        due = schedule.background_due(secret_id, issued_at, expires_at)
    else:
        due = schedule.said_before(issued_at, expires_at, timedelta(seconds=before))
    if ends.unused is None or (ends.at_last is not None and ends.at_last <= ends.unused):
        return due
    return min(due, schedule.before_unused(secret_id, issued_at, ends.unused))


def _stated(credentials: Mapping[str, Any]) -> int | None:
    told = credentials.get("undefined_params")
    if not isinstance(told, Mapping):
        return None
    return next((seconds for name in _STATED if (seconds := parse_lifetime(told.get(name))) is not None), None)
