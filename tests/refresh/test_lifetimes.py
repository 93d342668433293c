"""What was stated of tokens' lifetimes beats what was guessed, and a guess recovers (contract 0.14; issue 8.C9)."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from keyrack.model.clients import AuthClient
from keyrack.service.secrets.refresh.lifetimes import BELIEVED_FOR
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.schema import auth_clients
from support.app import World, relationship
from support.grants import add_auth_client, add_secret, change
from support.raw_provider import RawProvider, connect_raw, json_answer

HOUR = 3600


class Grant:
    """A secret that was made over the API, at a provider that says of lifetimes what a test lets it say."""

    def __init__(self, world: World, provider: RawProvider, client: AuthClient, secret_id: str) -> None:
        acme = world.tenants["Acme"]
        self.who, self.client, self.id = acme.admin, client, secret_id
        self._provider = provider
        self._path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"
        self._number = 1

    @classmethod
    async def make(cls, world: World, provider: RawProvider, lifetime: int | None, **credentials: Any) -> "Grant":
        acme = world.tenants["Acme"]
        client = await add_auth_client(world.store, acme.id, provider.token_endpoint, **credentials)
        tokens: dict[str, Any] = {"access_token": "at-1", "refresh_token": "rt-1"}
        tokens |= {} if lifetime is None else {"expires_in": lifetime}
        data = {
            "type": "auth-secret",
            "attributes": {"name": "A", "credentials": tokens},
            "relationships": {"auth_client": relationship("auth-client", client.id)},
        }
        made = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets", {"data": data})
        assert made.status_code == 201, made.text
        return cls(world, provider, client, made.json()["data"]["id"])

    async def refresh(self, expires_in: int | None = None, token: str | None = None) -> int:
        """Refresh it by force; the answer says this of the lifetime. Return the lifetime that is shown."""
        self._number += 1
        said = "" if expires_in is None else f',"expires_in":{expires_in}'
        self._provider.answers = [json_answer(f'{{"access_token":"{token or f"at-{self._number}"}"{said}}}')]
        return self._shown(await self.who.post(f"{self._path}/refresh"))

    async def patch(self, **credentials: Any) -> int:
        body = {"data": {"type": "auth-secret", "attributes": {"credentials": credentials}}}
        return self._shown(await self.who.patch(self._path, body))

    async def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.who.get(self._path)).json()["data"]["attributes"]["credentials"]
        return found

    @staticmethod
    def _shown(answer: Any) -> int:
        assert answer.status_code == 200, answer.text
        shown: int = answer.json()["data"]["attributes"]["credentials"]["expires_in"]
        return shown


async def test_what_was_said_once_holds_for_later_tokens(keyrack: World, raw_provider: RawProvider) -> None:
    grant = await Grant.make(keyrack, raw_provider, 300)
    assert await grant.refresh() == 300
    assert await grant.refresh(1200) == 1200, "what is said last counts"
    assert await grant.refresh() == 1200
    assert await grant.patch(expires_in=60) == 60
    assert await grant.refresh() == 1200, "a lifetime that is set alone is that of the stored token only"
    assert await grant.patch(access_token="at-x", expires_in=90) == 90
    assert await grant.refresh() == 90, "one that comes with a token is what its provider said"
    assert await grant.patch(expires_in=None) == HOUR, "removed is forgotten"
    assert await grant.refresh() == HOUR
    configured = await Grant.make(keyrack, raw_provider, 300, token_expires_in=900)
    assert await configured.refresh() == 900, "what the client's owner says comes first"
    assert await configured.refresh(70) == 70


async def test_what_is_sent_back_as_it_was_shown_states_nothing(keyrack: World, raw_provider: RawProvider) -> None:
    grant = await Grant.make(keyrack, raw_provider, None)
    given = await grant.credentials()
    assert given["expires_in"] == HOUR
    await grant.patch(**given)
    again = await stored_of(keyrack, grant)
    assert (again.stated_lifetime, again.lifetime_guessed) == (None, True)
    await grant.patch(refresh_token="rt-2")
    assert (await stored_of(keyrack, grant)).lifetime_guessed


async def test_impatience_teaches_nothing(keyrack: World, raw_provider: RawProvider) -> None:
    grant = await Grant.make(keyrack, raw_provider, None)
    for _ in range(6):
        assert await grant.refresh() == HOUR
    await aged(keyrack, grant, 1700)
    assert await grant.refresh() == HOUR, "less than half of what we guess"
    await aged(keyrack, grant, 3590)
    assert await grant.refresh() == HOUR, "it was due anyway"
    assert await grant.refresh() == HOUR
    assert (await client_of(keyrack, grant)).learned_lifetime is None


async def test_a_token_that_ended_early_teaches_and_the_guess_recovers(
    keyrack_on_each: World, raw_provider: RawProvider
) -> None:
    world = keyrack_on_each
    grant = await Grant.make(world, raw_provider, None)
    await aged(world, grant, 2400)
    assert await grant.refresh(token="at-1") == HOUR, "the same token again teaches nothing"
    await aged(world, grant, 2400)
    await grant.refresh()
    assert 2400 <= await grant.refresh() <= 2460
    learned = await client_of(world, grant)
    assert learned.learned_lifetime is not None
    acme = world.tenants["Acme"]
    other = await add_secret(world.store, acme, learned, {"access_token": "a", "refresh_token": "r"}, age=2400)
    told = Grant(world, raw_provider, learned, other.id)
    assert await told.refresh() == HOUR, "of this grant, an hour was stated"
    assert (await client_of(world, grant)).learned_lifetime == learned.learned_lifetime
    long_ago = datetime.now(UTC) - BELIEVED_FOR - timedelta(minutes=1)
    async with world.store.unit(acme.id, writes=True) as unit:
        mine = update(auth_clients).where(auth_clients.c.id == grant.client.id)
        await unit.connection.execute(mine.values(learned_at=long_ago))
    assert await grant.refresh() == HOUR


async def test_a_token_that_says_itself_when_it_ends_is_no_guess(keyrack: World, raw_provider: RawProvider) -> None:
    def jwt(seconds: int) -> str:
        exp = int(datetime.now(UTC).timestamp()) + seconds
        body = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
        return f"e30.{body}.x"

    connected = await connect_raw(keyrack, raw_provider, lifetime=300)
    grant = Grant(keyrack, raw_provider, connected.client, connected.secret.id)
    assert 1700 < await grant.refresh(token=jwt(1800)) <= 1800
    assert not (await stored_of(keyrack, grant)).lifetime_guessed
    assert await grant.refresh() == 300
    silent = await Grant.make(keyrack, raw_provider, None)
    assert 1700 < await silent.patch(access_token=jwt(1800)) <= 1800, "a guess is not kept for another token"


async def stored_of(world: World, grant: Grant) -> Any:
    async with world.store.unit(world.tenants["Acme"].id) as unit:
        return await AuthSecrets(unit).find(grant.id)


async def client_of(world: World, grant: Grant) -> AuthClient:
    async with world.store.unit(world.tenants["Acme"].id) as unit:
        found = await AuthClientRows(unit).find(grant.client.id)
    assert found is not None
    return found


async def aged(world: World, grant: Grant, seconds: int) -> None:
    """Let the token of a grant be this old."""
    secret = await stored_of(world, grant)
    issued = datetime.now(UTC) - timedelta(seconds=seconds)
    await change(world.store, secret, issued_at=issued, expires_at=issued + timedelta(seconds=HOUR))
