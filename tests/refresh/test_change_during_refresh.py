"""A secret that is changed while it is refreshed (contract 0.20, 15.2, 20.4; issue 8.A2).

Every case plays at a provider that rotates: whoever loses its answer has a refresh token that is worth nothing.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from keyrack.clock import iso
from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.store.attempts import open_attempts
from support.app import World, error_of, relationship
from support.consent import CALLBACK
from support.grants import Connected, change, stored
from support.platform import imported
from support.raw_provider import RawProvider, connect_raw, json_answer
from support.waits_and_faults import Pause, fail_once

COUNTS: dict[str, dict[str, Any]] = {
    "lifetime": {"credentials": {"expires_in": 60}},
    "access token": {"credentials": {"access_token": "at-person"}},
    "access token and lifetime": {"credentials": {"access_token": "at-person", "expires_in": 60}},
    "the same refresh token": {"credentials": {"refresh_token": "rt-1"}},
    "both, the same refresh token": {"credentials": {"access_token": "at-person", "refresh_token": "rt-1"}},
    "name": {"name": "Other"},
    "state": {"state": "error", "error": "looks broken"},
    "scope": {"credentials": {"scope": "read"}},
    "fields": {"credentials": {"fields": {"region": "eu"}}},
    "nothing": {},
}
"""What may be changed without losing the answer."""


def tokens(number: int, **more: Any) -> bytes:
    given = {"access_token": f"at-{number}", "refresh_token": f"rt-{number}", "expires_in": 3600, **more}
    return json_answer(str(given).replace("'", '"'))


def path_of(world: World, secret: AuthSecret) -> str:
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{secret.id}"


async def patch(world: World, secret: AuthSecret, attributes: dict[str, Any]) -> None:
    body = {"data": {"type": "auth-secret", "attributes": attributes}}
    answer = await world.tenants["Acme"].admin.patch(path_of(world, secret), body)
    assert answer.status_code == 200, answer.text


async def post(world: World, secret: AuthSecret) -> httpx2.Response:
    return await world.tenants["Acme"].admin.post(f"{path_of(world, secret)}/refresh")


def credentials(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]["attributes"]["credentials"]
    return found


async def refresh_during(
    world: World, monkeypatch: pytest.MonkeyPatch, secret: AuthSecret, meanwhile: Any
) -> httpx2.Response:
    """Refresh a secret; between the provider's answer and our writing it down, something else happens."""
    with monkeypatch.context() as patched:
        pause = Pause(patched, Journal, "_keep")
        running = asyncio.create_task(post(world, secret))
        await asyncio.wait_for(pause.reached.wait(), 30)
        await meanwhile
        pause.release()
        return await running


async def nothing_is_left(world: World) -> None:
    await world.services.refreshing.recovery.tick()
    async with world.store.installation() as unit:
        assert await open_attempts(unit) == []


async def test_the_answer_counts_whatever_else_is_changed(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    for case, attributes in COUNTS.items():
        connected = await connect_raw(world, raw_provider)
        raw_provider.requests.clear()
        raw_provider.answers = [tokens(2), tokens(3)]
        answer = await refresh_during(world, monkeypatch, connected.secret, patch(world, connected.secret, attributes))
        shown = credentials(answer)
        assert (shown["access_token"], shown["refresh_token"]) == ("at-2", "rt-2"), case
        assert answer.json()["data"]["attributes"]["state"] == "ready", case
        if "scope" in attributes.get("credentials", {}):
            assert shown["scope"] == "read"
        assert credentials(await post(world, connected.secret))["access_token"] == "at-3", case
        assert [form["refresh_token"] for form in raw_provider.forms] == ["rt-1", "rt-2"], case
        after = await stored(world.store, connected.secret)
        assert after.name == attributes.get("name", after.name)
    await nothing_is_left(world)


async def test_another_refresh_token_wins_and_the_answer_is_dropped(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    replaced = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2), tokens(3)]
    others = {"credentials": {"access_token": "at-person", "refresh_token": "rt-person"}}
    answer = await refresh_during(world, monkeypatch, replaced.secret, patch(world, replaced.secret, others))
    assert credentials(answer)["access_token"] == "at-3", "who asked for a refresh gets one of the new grant"
    assert [form["refresh_token"] for form in raw_provider.forms] == ["rt-1", "rt-person"]

    removed = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2)]
    without = {"credentials": {"refresh_token": None}}
    answer = await refresh_during(world, monkeypatch, removed.secret, patch(world, removed.secret, without))
    assert error_of(answer)[1] == "not_refreshable"
    await nothing_is_left(world)
    after = await stored(world.store, removed.secret)
    assert (after.credentials["access_token"], after.refreshable) == ("at-1", False), "removed is replaced, too"


async def test_an_answer_that_a_crash_left_counts_after_a_change(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    kept, dropped = await connect_raw(world, raw_provider), await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2)]
    changes: dict[str, dict[str, Any]] = {
        kept.secret.id: {"credentials": {"access_token": "at-person", "expires_in": 7200}},
        dropped.secret.id: {"credentials": {"access_token": "at-person", "refresh_token": "rt-person"}},
    }
    for secret in (kept.secret, dropped.secret):
        fail_once(monkeypatch, Finalizer, "settle", DatabaseUnavailable)
        assert (await post(world, secret)).status_code == 503
        await patch(world, secret, changes[secret.id])
    await nothing_is_left(world)
    assert (await stored(world.store, kept.secret)).credentials["refresh_token"] == "rt-2"
    assert (await stored(world.store, dropped.secret)).credentials["refresh_token"] == "rt-person"


async def test_doubt_about_a_refresh_token_outlives_another_access_token(
    keyrack: World, raw_provider: RawProvider
) -> None:
    connected = await connect_raw(keyrack, raw_provider)
    sent_at = datetime.now(UTC) - timedelta(minutes=5)
    await change(keyrack.store, connected.secret, ambiguous_since=sent_at)
    await patch(keyrack, connected.secret, {"credentials": {"access_token": "at-person"}, "state": "ready"})
    raw_provider.answers = [json_answer('{"error":"invalid_grant"}', "400 Bad Request")]
    assert error_of(await post(keyrack, connected.secret))[1] == "provider_error"
    lost = await stored(keyrack.store, connected.secret)
    assert (lost.error_code, lost.error_at) == ("refresh_interrupted", lost.ambiguous_since)
    await patch(keyrack, connected.secret, {"credentials": {"refresh_token": "rt-9"}})
    assert (await stored(keyrack.store, connected.secret)).ambiguous_since is None


async def connect_again(world: World, connected: Connected, expected: dict[str, str]) -> None:
    """Connect a secret's account again."""
    acme = world.tenants["Acme"]
    named = {"auth_client": connected.client.id, "auth_secret": connected.secret.id}
    about = {name: relationship(name.replace("_", "-"), key) for name, key in named.items()}
    data = {"type": "oauth-consent", "attributes": {}, "relationships": about}
    begun = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/oauth-consents", {"data": data})
    assert begun.status_code == 201, begun.text
    address = begun.json()["data"]["attributes"]["authorization_url"]
    state = parse_qs(urlsplit(address).query)["state"][0]
    page = await world.http.get(CALLBACK, params={"code": "c", "state": state})
    assert page.status_code == 200, page.text
    now = await stored(world.store, connected.secret)
    assert {name: now.credentials[name] for name in expected} == expected


async def test_a_new_consent_supersedes_an_answer_only_with_a_refresh_token(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    silent = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2), json_answer('{"access_token":"at-consent"}'), tokens(3)]
    again = connect_again(world, silent, {"access_token": "at-consent", "refresh_token": "rt-1"})
    answer = await refresh_during(world, monkeypatch, silent.secret, again)
    assert credentials(answer)["refresh_token"] == "rt-2"
    credentials(await post(world, silent.secret))
    assert raw_provider.forms[-1]["refresh_token"] == "rt-2"

    full = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2), tokens(7), tokens(8)]
    again = connect_again(world, full, {"access_token": "at-7", "refresh_token": "rt-7"})
    answer = await refresh_during(world, monkeypatch, full.secret, again)
    assert credentials(answer)["refresh_token"] == "rt-8"
    assert raw_provider.forms[-1]["refresh_token"] == "rt-7"
    await nothing_is_left(world)


async def take_in(world: World, secret: AuthSecret, refresh_token: str) -> None:
    """Import a file that has other credentials of a secret."""
    about = {"workspace": secret.workspace_id, "user": secret.user_id, "auth_client": secret.auth_client_id}
    record = {
        "id": secret.id,
        "type": "auth-secret",
        "attributes": {"name": "Moved", "credentials": {"access_token": "at-file", "refresh_token": refresh_token}},
        "relationships": {name: relationship(name.replace("_", "-"), key) for name, key in about.items()},
        "meta": {"issued_at": iso(datetime.now(UTC))},
    }
    done = await imported(
        world.store, json.dumps({"format": "keyrack-platform", "version": 1, "auth_secrets": [record]}).encode()
    )
    assert done.problems == ()
    now = await stored(world.store, secret)
    assert (now.name, now.credentials["refresh_token"]) == ("Moved", refresh_token)


async def test_an_import_supersedes_an_answer_only_with_another_refresh_token(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keyrack_on_each
    same = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2)]
    answer = await refresh_during(world, monkeypatch, same.secret, take_in(world, same.secret, "rt-1"))
    assert credentials(answer)["refresh_token"] == "rt-2"
    another = await connect_raw(world, raw_provider)
    raw_provider.answers = [tokens(2), tokens(8)]
    answer = await refresh_during(world, monkeypatch, another.secret, take_in(world, another.secret, "rt-file"))
    assert credentials(answer)["refresh_token"] == "rt-8"
    assert raw_provider.forms[-1]["refresh_token"] == "rt-file"
    await nothing_is_left(world)
