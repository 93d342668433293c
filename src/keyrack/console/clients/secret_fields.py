"""Fields of forms about a client and its secret: the day on which it ends, and which state of the client was seen."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keyrack.clock import iso
from keyrack.console.core.forms import Form

ENDS_ON, AS_OF = "secret_ends_on", "as_of"

CLIENT_AUTH: Sequence[tuple[str, str]] = (
    ("post", "In the body of the request (client_secret_post)"),
    ("basic", "In a Basic header (client_secret_basic)"),
    ("basic_raw", "In a Basic header, without the encoding of RFC 6749"),
    ("none", "Not at all: a public client without a secret"),
)
"""Ways to authenticate at the token endpoint, in words."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(moment: datetime | None) -> str:
    """Return the value of the field for the day on which a secret ends."""
    return "" if moment is None else f"{moment:%Y-%m-%d}"


def expiry_member(form: Form, stored: datetime | None = None) -> Mapping[str, Any]:
    """Return what a form says of the end of a secret, as a member of the body that the API takes; perhaps nothing.

    Args:
        form: as it was sent.
        stored: when the secret ends that stays as it is; that day again says nothing.
    """
    day = form.text(ENDS_ON)
    if day == day_of(stored):
        return {}
    return {"secret_expires_at": f"{day}T00:00:00Z" if day else None}


def seen_value(changed_at: datetime | None) -> str:
    """Return the value of the field that says which state of a client a form was shown with."""
    return "" if changed_at is None else iso(changed_at)


def seen_at(form: Form) -> datetime:
    """Return which state of a client a form was shown with; one that no client has if it does not say."""
    try:
        moment = datetime.fromisoformat(form.text(AS_OF))
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo is not None else _NEVER
