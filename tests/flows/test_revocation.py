"""Tokens of deleted secrets are revoked at real authorization servers (RFC 7009), durably, and it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from keyrack import clock
from keyrack.errors import NotFound
from keyrack.fair_share import Places
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.provider.client import ProviderClient
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.service.secrets.revocation import Revoker, enqueue
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.attempts import open_attempts
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.revocations import DueRevocations, Revocations, Subject
from keyrack.store.schema import revocations
from support.app import BASE, World, settings_for, world
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, approve, query_of
from support.grants import add_auth_client, add_secret, mint
from support.raw_provider import RawProvider, http_answer, json_answer
from support.waits_and_faults import Pause

Start = Callable[[OidcOptions], OidcProvider]


class Time:
    """The real time, moved ahead by a test."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


class Stage:
    """An installation, a worker that revokes, and a clock to move."""

    def __init__(self, keyrack: World, time: Time, client: ProviderClient) -> None:
        self.keyrack = keyrack
        self.time = time
        self.acme = keyrack.tenants["Acme"]
        self.revoker = Revoker(keyrack.store, client, timeout=20.0, patience=60.0)

    async def secret(self, token_endpoint: str, tokens: dict[str, str], **credentials: Any) -> "Held":
        client = await add_auth_client(self.keyrack.store, self.acme.id, token_endpoint, **credentials)
        return Held(client, await add_secret(self.keyrack.store, self.acme, client, tokens))

    async def delete(self, held: "Held") -> None:
        """Delete a secret as the use case does: revocation is ordered in the same transaction."""
        async with self.keyrack.store.unit(self.acme.id, writes=True) as unit:
            await enqueue(unit, held.secret, held.client)
            assert await AuthSecrets(unit).remove(held.secret.id)

    async def told(self) -> list[dict[str, Any]]:
        answer = await self.acme.admin.get(f"/v2/tenants/{self.acme.id}/events?filter[type]=secret.revoked")
        return [entry["attributes"]["data"] for entry in answer.json()["data"]]

    async def audited(self) -> list[tuple[str, str]]:
        answer = await self.acme.admin.get(f"/v2/tenants/{self.acme.id}/audit-events?filter[action]=secret.revoke")
        found = [entry["attributes"] for entry in answer.json()["data"]]
        return [(entry["target"]["id"], entry["outcome"]) for entry in found]

    async def jobs(self) -> list[Any]:
        async with self.keyrack.store.unit(self.acme.id) as unit:
            return list((await unit.connection.execute(select(revocations))).all())


class Held:
    """A secret and its auth client."""

    def __init__(self, client: AuthClient, secret: AuthSecret) -> None:
        self.client = client
        self.secret = secret

    def told(self, **facts: Any) -> dict[str, Any]:
        secret = self.secret
        ids = {"secret_id": secret.id, "workspace_id": secret.workspace_id, "auth_client_id": secret.auth_client_id}
        return ids | facts


@pytest.fixture
async def stage(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[Stage]:
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    time = Time()
    async with world(settings, time) as keyrack, ProviderClient(allow_insecure=True, timeout=20.0) as client:
        made = Stage(keyrack, time, client)
        yield made
        await made.revoker.close()


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


def states(simulator: RunningSimulator, held: Held) -> tuple[str, str]:
    book = simulator.state.book
    found = [book.find(held.secret.credentials[name]) for name in ("access_token", "refresh_token")]
    access, refresh = (None if token is None else token.state(book.now()) for token in found)
    return str(access), str(refresh)


async def connected(stage: Stage, simulator: RunningSimulator, **credentials: Any) -> Held:
    revocation_uri = f"{simulator.base_url}/revoke"
    given = {"revocation_uri": revocation_uri} | credentials
    return await stage.secret(simulator.token_endpoint, mint(simulator), **given)


@pytest.mark.parametrize("client_auth", ["post", "basic"])
async def test_the_grant_is_dead_after_the_secret_is_deleted(
    stage: Stage, simulator: RunningSimulator, client_auth: str
) -> None:
    held = await connected(stage, simulator, client_auth=client_auth)
    await stage.delete(held)
    assert states(simulator, held) == ("active", "active"), "the deletion does not wait for the provider"
    assert await stage.revoker.tick() == 1
    assert states(simulator, held) == ("revoked", "revoked")
    assert await stage.told() == [held.told(outcome="revoked")]
    assert await stage.audited() == [(held.secret.id, "allowed")]
    assert await stage.revoker.tick() == 0


async def test_tokens_on_their_way_to_a_secret_that_is_deleted_meanwhile_are_revoked(
    stage: Stage, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.state.set_defaults({"rotation": "strict"})
    held = await connected(stage, simulator)
    answered = Pause(monkeypatch, Finalizer, "settle")
    running = asyncio.create_task(stage.keyrack.services.refreshing.refresher.refresh(held.secret))
    book = simulator.state.book
    await asyncio.wait_for(answered.reached.wait(), 30)
    assert states(simulator, held)[1] != "active", "the provider has rotated"
    await stage.delete(held)
    answered.release()
    with pytest.raises(NotFound):
        await running
    simulator.state.set_defaults({})
    while await stage.revoker.tick():
        pass
    assert {token.state(book.now()) for token in book.all(lambda _: True)} & {"active"} == set()
    assert [told["outcome"] for told in await stage.told()][-1] == "revoked"
    async with stage.keyrack.store.installation() as unit:
        assert await open_attempts(unit) == []


async def test_the_token_lies_sealed_and_is_wiped(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator)
    await stage.delete(held)
    (before,) = await stage.jobs()
    assert before.sealed_order
    assert held.secret.credentials["refresh_token"].encode() not in before.sealed_order
    await stage.revoker.tick()
    (after,) = await stage.jobs()
    assert (after.sealed_order, after.outcome, after.due_at, after.claim) == (None, "revoked", None, None)


async def test_without_a_refresh_token_the_access_token_is_revoked(stage: Stage, simulator: RunningSimulator) -> None:
    tokens = mint(simulator)
    held = await stage.secret(
        simulator.token_endpoint,
        {"access_token": tokens["access_token"]},
        revocation_uri=f"{simulator.base_url}/revoke",
    )
    await stage.delete(held)
    await stage.revoker.tick()
    token = simulator.state.book.access(tokens["access_token"])
    assert token is not None
    assert token.state(simulator.state.book.now()) == "revoked"


REFRESH_TOKEN = {"token": "rt-1", "token_type_hint": "refresh_token"}
ACCESS_TOKEN = {"token": "at-1", "token_type_hint": "access_token"}
REVOKED = http_answer(b"", Connection="close")
DOWN = http_answer(b"", "503 Service Unavailable", Connection="close")
FORBIDDEN = http_answer(b"", "403 Forbidden", Connection="close")
GONE = json_answer('{"error": "invalid_token"}', "400 Bad Request", Connection="close")
UNSUPPORTED = json_answer('{"error": "unsupported_token_type"}', "400 Bad Request", Connection="close")


async def at_raw(stage: Stage, provider: RawProvider, *answers: bytes) -> Held:
    provider.answers = list(answers)
    tokens = {"access_token": "at-1", "refresh_token": "rt-1"}
    return await stage.secret(provider.token_endpoint, tokens, revocation_uri=f"{provider.url}/revoke")


def sent(provider: RawProvider) -> list[dict[str, str]]:
    kinds = ("token", "token_type_hint")
    return [{name: form[name] for name in kinds} for form in provider.forms]


async def test_both_tokens_are_sent_the_refresh_token_first_and_told_as_one(
    stage: Stage, raw_provider: RawProvider
) -> None:
    facts: dict[str, Any]
    both = {"refresh_token": "revoked", "access_token": "failed"}
    for answers, facts in (
        ((REVOKED, REVOKED), {"outcome": "revoked"}),
        ((REVOKED, GONE), {"outcome": "revoked"}),  # Google: the refresh token has taken it along
        (
            (REVOKED, UNSUPPORTED),
            {"outcome": "failed", "status": 400, "error": "unsupported_token_type", "tokens": both},
        ),
        (
            (FORBIDDEN, REVOKED),
            {"outcome": "failed", "status": 403, "tokens": {"refresh_token": "failed", "access_token": "revoked"}},
        ),
        ((UNSUPPORTED, UNSUPPORTED), {"outcome": "failed", "status": 400, "error": "unsupported_token_type"}),
    ):
        held = await at_raw(stage, raw_provider, *answers)
        raw_provider.requests.clear()
        gone = await stage.acme.admin.delete(f"/v2/workspaces/{held.secret.workspace_id}/secrets/{held.secret.id}")
        assert gone.status_code == 204
        assert await stage.revoker.tick() == 1
        assert sent(raw_provider) == [REFRESH_TOKEN, ACCESS_TOKEN]
        told = [each for each in await stage.told() if each["secret_id"] == held.secret.id]
        assert told == [held.told(**facts)]
        done = "allowed" if facts["outcome"] == "revoked" else "failed"
        assert (held.secret.id, done) in await stage.audited()


async def test_only_the_token_without_an_outcome_is_tried_again(stage: Stage, raw_provider: RawProvider) -> None:
    for first, second, later in (
        ((REVOKED, DOWN), ACCESS_TOKEN, REVOKED),
        ((DOWN, REVOKED), REFRESH_TOKEN, REVOKED),
        ((b"", GONE), REFRESH_TOKEN, GONE),
    ):
        held = await at_raw(stage, raw_provider, *first)
        raw_provider.requests.clear()
        await stage.delete(held)
        assert await stage.revoker.tick() == 1
        assert sent(raw_provider)[-1] == ACCESS_TOKEN, "one that cannot be revoked now holds up no other"
        assert [each for each in await stage.told() if each["secret_id"] == held.secret.id] == []
        (job,) = [job for job in await stage.jobs() if job.secret_id == held.secret.id]
        assert b"rt-1" not in job.sealed_order
        raw_provider.requests.clear()
        raw_provider.answers = [later]
        stage.time.ahead += timedelta(seconds=7)
        assert await stage.revoker.tick() == 1
        assert sent(raw_provider) == [second]
        told = [each for each in await stage.told() if each["secret_id"] == held.secret.id]
        assert told == [held.told(outcome="revoked")]


async def test_an_order_of_an_older_version_is_done(stage: Stage, raw_provider: RawProvider) -> None:
    held = await at_raw(stage, raw_provider, DOWN, REVOKED)
    order = {
        "endpoint": f"{raw_provider.url}/revoke",
        "token": "rt-1",
        "hint": "refresh_token",
        "method": "client_secret_post",
        "client_id": "c",
        "client_secret": "s",
    }
    async with stage.keyrack.store.unit(stage.acme.id, writes=True) as unit:
        subject = Subject(held.secret.id, held.secret.workspace_id, held.secret.auth_client_id)
        await Revocations(unit).add(subject, order)
        assert await AuthSecrets(unit).remove(held.secret.id)
    assert await stage.revoker.tick() == 1
    stage.time.ahead += timedelta(seconds=7)
    assert await stage.revoker.tick() == 1
    assert sent(raw_provider) == [REFRESH_TOKEN, REFRESH_TOKEN]
    assert await stage.told() == [held.told(outcome="revoked")]


async def test_without_an_endpoint_it_is_reported_at_once(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator, revocation_uri=None)
    await stage.delete(held)
    assert await stage.told() == [held.told(outcome="not_supported")]
    assert await stage.revoker.tick() == 0
    assert await stage.jobs() == []


async def test_a_deletion_that_is_rolled_back_revokes_nothing(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator)

    async def deletion_that_fails() -> None:
        async with stage.keyrack.store.unit(stage.acme.id, writes=True) as unit:
            await enqueue(unit, held.secret, held.client)
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        await deletion_that_fails()
    assert await stage.revoker.tick() == 0
    assert states(simulator, held) == ("active", "active")


async def test_a_provider_that_is_down_is_tried_again(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator)
    simulator.state.set_defaults({"status": 503, "faults_at": ["revoke"]})
    await stage.delete(held)
    assert await stage.revoker.tick() == 1
    assert await stage.told() == [], "not over yet"
    simulator.state.set_defaults({})
    assert await stage.revoker.tick() == 0, "not before the wait is over"
    stage.time.ahead += timedelta(seconds=7)
    assert await stage.revoker.tick() == 1
    assert await stage.told() == [held.told(outcome="revoked")]


async def test_it_is_given_up_in_the_end_and_the_token_wiped(stage: Stage) -> None:
    held = await stage.secret(
        "http://127.0.0.1:8/token",
        {"access_token": "at", "refresh_token": "rt"},
        revocation_uri="http://127.0.0.1:8/revoke",
    )
    await stage.delete(held)
    for _ in range(5):
        assert await stage.revoker.tick() == 1
        stage.time.ahead += timedelta(hours=1)
    assert await stage.told() == [held.told(outcome="failed", reason="connect")]
    assert await stage.audited() == [(held.secret.id, "failed")]
    (job,) = await stage.jobs()
    assert (job.sealed_order, job.outcome, job.attempts) == (None, "failed", 5)
    assert await stage.revoker.tick() == 0


async def test_a_refusal_is_final(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator, client_secret="wrong")
    await stage.delete(held)
    assert await stage.revoker.tick() == 1
    assert await stage.told() == [held.told(outcome="failed", status=401, error="invalid_client")]


async def test_a_worker_that_died_leaves_the_job_to_the_next(stage: Stage, simulator: RunningSimulator) -> None:
    held = await connected(stage, simulator)
    await stage.delete(held)
    async with stage.keyrack.store.installation(writes=True) as unit:
        assert len(await DueRevocations(unit).claim(Places(10), timedelta(seconds=60))) == 1
    assert await stage.revoker.tick() == 0
    stage.time.ahead += timedelta(seconds=61)
    assert await stage.revoker.tick() == 1
    assert await stage.told() == [held.told(outcome="revoked")]


async def delete_the_tenant(stage: Stage) -> None:
    """Delete contract and tenant right after each other, as their admin and support would."""
    gone = await stage.acme.admin.delete(f"/v2/contracts/{stage.acme.contract_id}")
    assert gone.status_code == 204, gone.text
    support = await stage.keyrack.add_service_account("tenants.tenant.delete")
    gone = await support.delete(f"/v2/tenants/{stage.acme.id}")
    assert gone.status_code == 204, gone.text


async def revoke(stage: Stage, many: int) -> None:
    """Let the worker work until so many attempts have ended."""
    async with asyncio.timeout(60):
        while many > 0:
            many -= await stage.revoker.tick()


async def told_the_operator(stage: Stage) -> list[tuple[str | None, str]]:
    async with stage.keyrack.store.installation() as unit:
        found, _ = await AuditLog(unit).page({"action": "secret.revoke"}, None, None, limit=None)
    return [(event.target_id, event.outcome) for event in found]


async def test_tokens_are_revoked_after_their_tenant_is_deleted(stage: Stage, simulator: RunningSimulator) -> None:
    all_held = [await connected(stage, simulator) for _ in range(3)]
    other = await connected(stage, simulator)
    await stage.delete(other)
    await revoke(stage, 1)  # this one is over, and goes with the tenant
    await delete_the_tenant(stage)
    jobs = await stage.jobs()
    assert [job.tenant_id for job in jobs] == ["", "", ""]
    sealed = b"".join(job.sealed_order for job in jobs)
    assert not any(held.secret.credentials["refresh_token"].encode() in sealed for held in all_held)
    await revoke(stage, 3)
    assert {states(simulator, held) for held in all_held} == {("revoked", "revoked")}
    assert sorted(await told_the_operator(stage)) == sorted((held.secret.id, "allowed") for held in all_held)
    assert {(job.sealed_order, job.due_at, job.outcome) for job in await stage.jobs()} == {(None, None, "revoked")}


async def test_what_cannot_be_revoked_after_the_tenant_is_given_up_and_told_the_operator(stage: Stage) -> None:
    held = await stage.secret(
        "http://127.0.0.1:8/token",
        {"access_token": "at", "refresh_token": "rt"},
        revocation_uri="http://127.0.0.1:8/revoke",
    )
    await delete_the_tenant(stage)
    for _ in range(5):
        assert await told_the_operator(stage) == []
        await revoke(stage, 1)
        stage.time.ahead += timedelta(hours=1)
    assert await told_the_operator(stage) == [(held.secret.id, "failed")]
    (job,) = await stage.jobs()
    assert (job.sealed_order, job.outcome, job.attempts) == (None, "failed", 5)


async def test_a_tenant_is_deleted_while_a_token_of_it_is_being_revoked(
    stage: Stage, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await connected(stage, simulator)
    await stage.delete(held)
    pause = Pause(monkeypatch, Revoker, "_settle")  # the call is over, its outcome is about to be written
    revoking = asyncio.create_task(revoke(stage, 1))
    async with asyncio.timeout(30):
        await pause.reached.wait()
    assert states(simulator, held) == ("revoked", "revoked")
    await delete_the_tenant(stage)
    pause.release()
    await revoking
    assert await told_the_operator(stage) == []
    stage.time.ahead += timedelta(minutes=5)  # past the lease
    await revoke(stage, 1)  # again: that is all right with the provider
    assert await told_the_operator(stage) == [(held.secret.id, "allowed")]
    assert [job.sealed_order for job in await stage.jobs()] == [None]


async def test_tokens_on_their_way_to_a_tenant_that_is_deleted_are_revoked(
    stage: Stage, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.state.set_defaults({"rotation": "strict"})
    held = await connected(stage, simulator)
    pause = Pause(monkeypatch, Finalizer, "settle")
    running = asyncio.create_task(stage.keyrack.services.refreshing.refresher.refresh(held.secret))
    async with asyncio.timeout(60):
        await pause.reached.wait()
    await delete_the_tenant(stage)
    pause.release()
    with pytest.raises(NotFound):
        await running
    await revoke(stage, 2)  # what the secret had, and what came for it
    book = simulator.state.book
    assert {token.state(book.now()) for token in book.all(lambda _: True)} & {"active"} == set()
    assert await told_the_operator(stage) == [(held.secret.id, "allowed")] * 2


async def test_oidc_provider_refuses_the_refresh_token_afterwards(stage: Stage, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(
        OidcOptions(clients=(RegisteredClient(redirect_uris=(CALLBACK,)),), pkce_required=False)
    )
    client = provider.client
    query = {
        "client_id": client.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid offline_access",
        "prompt": "consent",
    }
    code = query_of(await approve(f"{provider.authorization_endpoint}?{httpx2.QueryParams(query)}"))["code"]
    basic = (client.client_id, client.client_secret)
    async with httpx2.AsyncClient(auth=basic) as http:
        exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        tokens = (await http.post(provider.token_endpoint, data=exchange)).json()
        held = await stage.secret(
            provider.token_endpoint,
            {name: tokens[name] for name in ("access_token", "refresh_token")},
            client_id=client.client_id,
            client_secret=client.client_secret,
            client_auth="basic",
            revocation_uri=f"{provider.issuer}/token/revocation",
        )
        await stage.delete(held)
        assert await stage.revoker.tick() == 1
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        refused = await http.post(provider.token_endpoint, data=refresh)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert await stage.told() == [held.told(outcome="revoked")]
