"""Signatures against the official library, and bodies that never change."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from keyrack.model.events import Event, EventType, SigningKey
from keyrack.service.webhooks.signing import message, new_key, signed_headers

EVENT = Event("0" * 24, "1" * 24, EventType.secret_failed, {"secret_id": "ü"}, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_secret_has_32_random_bytes() -> None:
    secrets = {new_key().reveal() for _ in range(10)}
    assert len(secrets) == 10
    for secret in secrets:
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_the_official_library_verifies_every_key_that_signs() -> None:
    now = datetime.now(UTC)
    newest, older, over = (
        SigningKey(new_key()),
        SigningKey(new_key(), now + timedelta(hours=1)),
        SigningKey(new_key(), now),
    )
    body = message(EVENT)
    headers = dict(signed_headers(EVENT.id, body, (newest, older, over), now))
    for key in (newest, older):
        assert Verifier(key.secret.reveal()).verify(body, headers) == {
            "type": "secret.failed",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "data": {"secret_id": "ü"},
        }
    for wrong in (over.secret, new_key()):
        with pytest.raises(WebhookVerificationError):
            Verifier(wrong.reveal()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(newest.secret.reveal()).verify(body, headers | {"webhook-id": "1" * 24})


def test_a_message_that_is_sent_much_later_is_refused() -> None:
    key = SigningKey(new_key())
    body = message(EVENT)
    headers = dict(signed_headers(EVENT.id, body, (key,), datetime.now(UTC) - timedelta(minutes=10)))
    with pytest.raises(WebhookVerificationError):
        Verifier(key.secret.reveal()).verify(body, headers)
