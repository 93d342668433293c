"""Learns how long access tokens live when one ends early (contract 0.14). Pure functions.

What somebody said always beats what was guessed. The order, first to last: the `expires_in` that came with the token,
the client's `token_expires_in`, the `exp` of a JWT, what was last said of tokens of this grant, what was learned of
the client's tokens, an hour.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.lifetime import known_lifetime, token_lifetime
from keyrack.service.clients.auth_client_profile import usual_lifetime
from keyrack.service.secrets.refresh.schedule import Schedule

BELIEVED_FOR = timedelta(days=7)
"""How long a learned lifetime counts after a token last ended so early. Then the guess is an hour again."""
SHORTEST_LEARNED = 300
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a token is taken to live.

    Attributes:
        seconds: from when it was issued.
        guessed: nobody said so.
    """

    seconds: int
    guessed: bool


def lifetime_of(client: AuthClient, credentials: Json, stated_before: int | None, now: datetime) -> Lifetime:
    """Return the lifetime of a fresh access token.

    Args:
        client: the auth client behind it.
        credentials: with the token, and `expires_in` if that came with it.
        stated_before: what was last said of tokens of this grant, seconds.
        now: when the token was issued.
    """
    expires_in: int | None = credentials.get("expires_in")
    token_expires_in = client.credentials.get("token_expires_in") or usual_lifetime(client)
    token = Secret(str(credentials.get("access_token", "")))
    known = known_lifetime(
        expires_in, token_expires_in=token_expires_in, access_token=token, stated_before=stated_before, now=now
    )
    learned = believed(client, now)
    return Lifetime(known or token_lifetime(None, access_token=token, learned=learned, now=now), known is None)


def believed(client: AuthClient, now: datetime) -> int | None:
    """Return the learned lifetime of a client's tokens in seconds; None if there is none, or it is too old."""
    if client.learned_at is None or now - client.learned_at > BELIEVED_FOR:
        return None
    return client.learned_lifetime


def learned_from(before: AuthSecret, after: AuthSecret, schedule: Schedule, asked_at: datetime) -> int | None:
    """Return what a forced refresh teaches of how long tokens of the client live, seconds; None: nothing.

    It is a report that a token ended before we expected, if nobody had said how long it would live, it had lived half
    of what was guessed at least and was not due yet, and the provider gave another one. Somebody who refreshes soon
    after the token was issued is impatient, or tries something out.

    Args:
        before: the secret whose refresh was asked for.
        after: as the refresh left it.
        schedule: when tokens are due.
        asked_at: when it was asked for.
    """
    if not before.lifetime_guessed or before.issued_at is None or before.expires_at is None:
        return None
    if before.credentials.get("access_token") == after.credentials.get("access_token"):
        return None
    lived, guessed = asked_at - before.issued_at, before.expires_at - before.issued_at
    if lived < guessed / 2 or asked_at >= schedule.due(before.issued_at, before.expires_at):
        return None
    return max(int(lived.total_seconds()), SHORTEST_LEARNED)
