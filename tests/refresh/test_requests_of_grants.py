"""A refresh is asked for as its grant was made: the client shows itself as it did then, and as nobody else."""

from base64 import b64encode

import pytest

from keyrack.service.secrets.refresh.schedule import Schedule
from support.app import World
from support.grants import change, stored
from support.raw_provider import RawProvider, connect_raw, json_answer

FRESH = json_answer('{"access_token":"at-2","expires_in":60}')


@pytest.mark.parametrize(
    ("at_consent", "in_header", "in_body"),
    [
        (None, False, {"client_id": "me", "client_secret": "shh"}),
        ("client_secret_post", False, {"client_id": "me", "client_secret": "shh"}),
        ("client_secret_basic", True, {}),
        ("none", False, {"client_id": "me"}),
    ],
)
async def test_the_client_shows_itself_as_at_the_consent(
    keyrack: World, raw_provider: RawProvider, at_consent: str | None, in_header: bool, in_body: dict[str, str]
) -> None:
    raw_provider.answers = [FRESH]
    made = await connect_raw(keyrack, raw_provider, client_id="me", client_secret="shh")
    await change(keyrack.store, made.secret, auth_method=at_consent)
    secret = await stored(keyrack.store, made.secret)
    refreshed = await keyrack.services.refreshing.refresher.refresh(secret)
    assert refreshed.credentials["access_token"] == "at-2"
    assert raw_provider.forms == [{"grant_type": "refresh_token", "refresh_token": "rt-1", **in_body}]
    header = b"authorization: basic " + b64encode(b"me:shh").lower()
    assert (header in raw_provider.requests[0].lower()) is in_header
    assert (b"authorization:" in raw_provider.requests[0].lower()) is in_header


async def test_the_answer_counts_from_when_it_came(keyrack: World, raw_provider: RawProvider) -> None:
    raw_provider.answers = [FRESH]
    made = await connect_raw(keyrack, raw_provider)
    refreshed = await keyrack.services.refreshing.refresher.refresh(made.secret)
    assert refreshed.issued_at is not None
    assert refreshed.expires_at is not None
    assert refreshed.refreshed_at == refreshed.issued_at
    assert (refreshed.expires_at - refreshed.issued_at).total_seconds() == 60
    assert refreshed.due_at == Schedule().background_due(refreshed.id, refreshed.issued_at, refreshed.expires_at)
    found = await stored(keyrack.store, made.secret)
    assert (found.credentials, found.generation) == (refreshed.credentials, made.secret.generation + 1)
    assert found.answered_ms is not None
