"""Signs webhooks (Standard Webhooks specification 1.0, "Signature scheme": symmetric, `v1`)."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from keyrack.clock import iso
from keyrack.crypto.secret import Secret, derived
from keyrack.model.events import Event, SigningKey

_PREFIX = "whsec_"
_KEY_BYTES = 32  # the specification asks for 24 to 64


def new_key() -> Secret:
    """Return a new signing secret: `whsec_` and 32 random bytes in base64."""
    return Secret(_PREFIX + base64.b64encode(os.urandom(_KEY_BYTES)).decode("ascii"))


def key_of(seed: Secret) -> Secret:
    """Return the signing secret that a page has in store: always the same one for a seed of 256 random bits."""
    return Secret(_PREFIX + base64.b64encode(derived(seed, "webhook")).decode("ascii"))


def message(event: Event) -> bytes:
    """Return the body that tells of an event: `{"type", "timestamp", "data"}`; always the same for an event."""
    data = {**event.data, **event.for_receivers}
    told = {"type": event.type.value, "timestamp": iso(event.created_at), "data": data}
    return msgspec.json.encode(told)


def signed_headers(event_id: str, body: bytes, keys: Iterable[SigningKey], now: datetime) -> Mapping[str, str]:
    """Return the headers that let the receiver verify a body.

    Args:
        event_id: the same for every attempt, so that a receiver can tell a repetition.
        body: what is sent.
        keys: those that have run out do not sign.
        now: when it is sent; receivers refuse what is older than a few minutes.
    """
    timestamp = str(int(now.timestamp()))
    content = f"{event_id}.{timestamp}.".encode("ascii") + body
    valid = [key.secret for key in keys if key.until is None or key.until > now]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, content) for secret in valid),
    }


def _signature(secret: Secret, content: bytes) -> str:
    key = base64.b64decode(secret.reveal().removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode("ascii")
