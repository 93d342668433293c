"""What is frozen is refused to every reader; what is dealt with afterwards is told of each grant (decision 47)."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.clock import now
from keyrack.errors import DatabaseUnavailable, NotFound
from keyrack.model.containment import ContainedGrant, FreezeKind, GrantStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.containment.containment import Containment
from keyrack.service.containment.grant_actions import ContainAction, GrantActions
from keyrack.service.secrets.freeze_watch import FreezeWatch
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.contained_grants import TargetedGrants
from keyrack.store.schema import auth_secrets
from keyrack.store.secret_reader import SecretLocation
from keyrack.wiring.services import build_services
from support import forked_commands
from support.app import World
from support.consent import connect as connect_credential
from support.grants import add_auth_client, add_secret, component_for, mint, stored
from support.keyrack_processes import environment
from support.raw_provider import RawProvider


async def connected(
    world: World, simulator: RunningSimulator, number: int = 3, tenant: str = "Acme", **credentials: Any
) -> list[AuthSecret]:
    """Connect accounts of a tenant with a client that can revoke, unless said otherwise."""
    of, revocation = world.tenants[tenant], {"revocation_uri": f"{simulator.base_url}/revoke"}
    client = await add_auth_client(world.store, of.id, simulator.token_endpoint, **(revocation | credentials))
    return [await add_secret(world.store, of, client, mint(simulator)) for _ in range(number)]


def works(simulator: RunningSimulator, secret: AuthSecret) -> list[bool]:
    """Tell whether the provider takes the tokens that a secret had: access and refresh token."""
    book, at = simulator.state.book, simulator.state.book.now()
    tokens = (book.access(secret.credentials["access_token"]), book.refresh(secret.credentials["refresh_token"]))
    return [token is not None and token.state(at) == "active" for token in tokens]


async def contained(
    world: World, kind: FreezeKind, target: str, action: ContainAction = ContainAction.revoke
) -> list[ContainedGrant]:
    desk = world.services.containment
    frozen = await desk.freeze(kind, target, "test")
    await desk.deal_with(frozen, action)
    return list(await desk.report(frozen))


@pytest.mark.parametrize("kind", list(FreezeKind))
async def test_what_is_frozen_is_refused_to_all_readers_until_it_is_lifted(
    keyrack_on_each: World, simulator: RunningSimulator, kind: FreezeKind
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    (secret,) = await connected(world, simulator, 1)
    targets = {"client": secret.auth_client_id, "provider": simulator.base_url, "tenant": acme.id}
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
    reader = acme.integrator
    assert (await reader.get(path)).status_code == 200
    desk = world.services.containment
    frozen = await desk.freeze(kind, await desk.target(kind, targets[kind.value]), "test")
    assert (await desk.freeze(kind, frozen.target, "again")).id == frozen.id
    for method, address in (("GET", path), ("POST", f"{path}/refresh"), ("GET", f"{path}?min_validity=60")):
        answer = await (reader.get(address) if method == "GET" else reader.post(address, {}))
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (423, "frozen"), address
        assert secret.credentials["access_token"] not in answer.text
    listed = await reader.get(f"/v2/workspaces/{acme.workspace_id}/secrets")
    assert listed.status_code == 200
    assert secret.credentials["access_token"] not in listed.text
    await desk.lift(frozen.id)
    assert (await reader.get(path)).status_code == 200
    with pytest.raises(NotFound):
        await desk.lift(frozen.id)


async def test_the_fast_read_goes_by_what_was_heard_a_moment_ago_and_by_nothing_older(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    (secret,) = await connected(world, simulator, 1)
    reader = Principal(PrincipalKind.user, acme.integrator.id, acme.integrator.name, tenant_id=acme.id)
    place = SecretLocation(acme.id, acme.workspace_id, secret.id)
    replica = build_services(world.store, world.settings)  # as another process, or one that has started again
    watch = replica.freeze_watch
    fast = replica.fast_reads
    fast.open()
    try:

        async def is_answered() -> bool:
            heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            fast.ask(reader, None, place, heard.set_result)
            return await heard is not None

        assert not FreezeWatch(world.store).lets_through(secret), "nothing was heard yet"
        await watch.ask()
        async with world.store.unit(acme.id) as unit:  # the tenant's data key is known from here on
            await unit.keyring.prepare(unit.connection, acme.id)
        await is_answered()
        await watch.ask()
        assert await is_answered()
        await world.services.containment.freeze(FreezeKind.tenant, acme.id, "test")
        await watch.ask()
        assert not await is_answered()
        await watch.close()
        assert not watch.lets_through(secret), "what was heard does not outlive its time"
    finally:
        await fast.close()
        await replica.close()


async def test_credentials_and_environments_of_components_are_frozen_with_their_oauth_client(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    component_id = await component_for(world, simulator)
    done = await connect_credential(world, globex.integrator, globex.workspace_id, component_id)
    credential_id = done["relationships"]["credential"]["data"]["id"]
    clients = await globex.admin.get(f"/v2/tenants/{globex.id}/oauth-clients?filter[component]={component_id}")
    client_id = clients.json()["data"][0]["id"]
    path = f"/v2/credentials/{credential_id}"
    environment_path = f"/v2/workspaces/{globex.workspace_id}/components/{component_id}/runtime-env"
    assert (await world.support.get(environment_path)).status_code == 200
    token = (await globex.integrator.get(path)).json()["data"]["attributes"]["keys"]["oauth"]["access_token"]
    desk = world.services.containment
    radius = await desk.blast_radius(FreezeKind.client, client_id)
    assert (radius.clients, radius.grants, radius.credentials) == (1, 0, 1)
    frozen = await desk.freeze(FreezeKind.client, await desk.target(FreezeKind.client, client_id), "test")
    assert (await globex.integrator.get(path)).status_code == 423
    assert (await world.support.get(environment_path)).status_code == 423
    listed = await globex.integrator.get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert listed.status_code == 200, listed.text
    assert token not in listed.text
    await desk.lift(frozen.id)
    assert (await globex.integrator.get(path)).status_code == 200


async def test_revoked_grants_are_dead_at_the_provider_and_here_and_each_is_told(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    simulator.state.set_defaults({"rotation": "strict"})
    secrets = await connected(world, simulator, 3)
    others = await connected(world, simulator, 1)
    told = await contained(world, FreezeKind.client, secrets[0].auth_client_id)
    assert {each.secret_id for each in told} == {each.id for each in secrets}
    for each in told:
        assert each.status is GrantStatus.dead
        assert each.facts["refresh_token"] == "refused"
        assert each.facts["confirmed_by"] == "refresh_refused"
    assert [works(simulator, each) for each in secrets] == [[False, False]] * 3
    assert works(simulator, others[0]) == [True, True]
    ended = [await stored(world.store, secret) for secret in secrets]
    assert [each.state for each in ended] == [SecretState.error] * 3


async def test_grants_are_revoked_as_the_client_s_profile_says(
    keyrack: World, simulator: RunningSimulator, raw_provider: RawProvider
) -> None:
    revocation = {
        "body": "json",
        "parameters": {"token": None, "token_type_hint": None},
        "headers": {"Authorization": "Bearer {token}"},
        "client_authentication": {"method": "fields"},
        "tokens": ["access_token"],
    }
    url = raw_provider.url
    endpoints = {"authorization": f"{url}/a", "token": f"{url}/t", "revocation": f"{url}/uninstall"}
    profile = {"name": "own", "endpoints": endpoints, "revocation": revocation}
    (secret,) = await connected(keyrack, simulator, 1, provider_profile=profile, revocation_uri=endpoints["revocation"])
    (told,) = await contained(keyrack, FreezeKind.client, secret.auth_client_id)
    assert told.facts["access_token"] == "revoked"
    assert (told.facts["refresh_token"], told.facts["why"]) == ("alive", "no_revocation_endpoint")
    (request,) = raw_provider.requests
    assert request.startswith(b"POST /uninstall ")
    assert f"Bearer {secret.credentials['access_token']}\r\n".encode() in request
    assert request.endswith(b"\r\n\r\n{}")


async def test_what_is_not_dead_says_why_and_is_tried_again_when_it_is_begun_again(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    (cannot,) = await connected(world, simulator, 1, revocation_uri=None)
    (told,) = await contained(world, FreezeKind.client, cannot.auth_client_id)
    assert (told.status, told.facts["why"]) == (GrantStatus.alive, "no_revocation_endpoint")
    assert told.facts["access_token_lives_until"]
    assert works(simulator, cannot) == [True, True]
    (foreign,) = await connected(world, simulator, 1)
    async with world.store.unit(foreign.tenant_id, writes=True) as unit:  # what is stored is damaged
        damage = update(auth_secrets).where(auth_secrets.c.id == foreign.id).values(sealed_credentials=b"damaged")
        await unit.connection.execute(damage)
    (told,) = await contained(world, FreezeKind.client, foreign.auth_client_id)
    assert (told.status, told.facts["why"]) == (GrantStatus.unknown, "could_not_be_asked")
    (down,) = await connected(world, simulator, 1, revocation_uri="http://127.0.0.1:2/revoke")
    (told,) = await contained(world, FreezeKind.client, down.auth_client_id)
    assert (told.status, told.facts["why"]) == (GrantStatus.unknown, "provider_unavailable")
    secrets = await connected(world, simulator, 2)
    simulator.state.enqueue(Queued("revoke", 3, {"status": 503}, None))
    first = await contained(world, FreezeKind.client, secrets[0].auth_client_id)
    again = await contained(world, FreezeKind.client, secrets[0].auth_client_id)
    assert any(each.status is not GrantStatus.dead for each in first)
    assert [each.status for each in again] == [GrantStatus.dead] * 2
    assert [works(simulator, each) for each in secrets] == [[False, False]] * 2


async def test_a_refusal_that_says_nothing_of_the_token_proves_nothing(
    keyrack: World, simulator: RunningSimulator
) -> None:
    (secret,) = await connected(keyrack, simulator, 1)
    broken = replace(secret, state=SecretState.error, error_code=ErrorCode.unsupported_token_type, error="before")
    async with keyrack.store.unit(secret.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).replace(broken, refresh_token_replaced=False)
    simulator.state.enqueue(Queued("token", 9, {"status": 401, "error": "invalid_client"}, None))
    (told,) = await contained(keyrack, FreezeKind.client, secret.auth_client_id)
    assert (told.status, told.facts["why"]) == (GrantStatus.unknown, "not_confirmed")


async def test_tokens_are_revoked_as_the_providers_profile_says(keyrack: World, simulator: RunningSimulator) -> None:
    profile = {
        "name": "p",
        "endpoints": {"token": simulator.token_endpoint, "revocation": f"{simulator.base_url}/revoke"},
        "revocation": {"rename": {"token": "what"}},  # which the simulator does not know: so it shows that it was sent
    }
    (secret,) = await connected(keyrack, simulator, 1, provider_profile=profile)
    (told,) = await contained(keyrack, FreezeKind.client, secret.auth_client_id)
    assert (told.status, told.facts["why"]) == (GrantStatus.alive, "revocation_refused")


async def test_two_commands_at_once_do_the_same_as_one(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    secrets, desk = await connected(keyrack_on_each, simulator, 6), keyrack_on_each.services.containment
    target = secrets[0].auth_client_id
    frozen = await asyncio.gather(*[desk.freeze(FreezeKind.client, target, "test") for _ in range(4)])
    assert len({each.id for each in frozen}) == 1
    await asyncio.gather(*[desk.deal_with(frozen[0], ContainAction.revoke) for _ in range(2)])
    await desk.deal_with(frozen[0], ContainAction.revoke)
    assert [each.status for each in await desk.report(frozen[0])] == [GrantStatus.dead] * 6


async def test_a_database_that_is_gone_is_said_as_such(keyrack: World, simulator: RunningSimulator) -> None:
    (secret,) = await connected(keyrack, simulator, 1)

    class Gone(GrantActions):
        async def deal_with(self, grant: Any, action: ContainAction) -> ContainedGrant:  # noqa: ARG002 - as it is called
            raise DatabaseUnavailable

    made = keyrack.services
    actions = Gone(keyrack.store, made.provider, made.refreshing.limiter, made.refreshing.refresher)
    desk = Containment(keyrack.store, actions)
    frozen = await desk.freeze(FreezeKind.client, secret.auth_client_id, "test")
    with pytest.raises(DatabaseUnavailable):
        await desk.deal_with(frozen, ContainAction.revoke)


async def test_what_was_exchanged_is_revoked_when_that_is_wanted_next(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    simulator.state.set_defaults({"rotation": "strict"})
    (secret,) = await connected(world, simulator, 1)
    await contained(world, FreezeKind.client, secret.auth_client_id, ContainAction.rotate)
    fresh = await stored(world.store, secret)
    assert works(simulator, fresh) == [True, True]
    (told,) = await contained(world, FreezeKind.client, secret.auth_client_id)
    assert told.status is GrantStatus.dead
    assert works(simulator, fresh) == [False, False]


@pytest.mark.parametrize(("rotation", "status"), [("strict", GrantStatus.exchanged), ("off", GrantStatus.alive)])
async def test_exchanged_tokens_are_told_by_whether_the_provider_ends_the_old_ones(
    keyrack: World, simulator: RunningSimulator, rotation: str, status: GrantStatus
) -> None:
    simulator.state.set_defaults({"rotation": rotation})
    (secret,) = await connected(keyrack, simulator, 1)
    (told,) = await contained(keyrack, FreezeKind.client, secret.auth_client_id, ContainAction.rotate)
    assert told.status is status
    fresh = await stored(keyrack.store, secret)
    assert fresh.credentials["access_token"] != secret.credentials["access_token"]
    assert works(simulator, fresh) == [True, True], "the grant goes on"
    assert works(simulator, secret)[0] is False, "the old access token was revoked"


async def test_tenants_take_turns_and_what_is_under_way_is_bounded(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    many = await connected(world, simulator, 5, "Acme")
    few = await connected(world, simulator, 2, "Globex")
    desk = world.services.containment
    frozen = await desk.freeze(FreezeKind.provider, simulator.base_url, "test")
    async with world.store.installation() as unit:
        page = await TargetedGrants(unit).left(frozen, (), now(), 0, "")
        rest = await TargetedGrants(unit).left(frozen, (), now(), *(page[2][0], page[2][1].tenant_id))
    assert {grant.secret_id for _, grant in page} == {each.id for each in (*many, *few)}
    assert {grant.tenant_id for _, grant in page[:4]} == {few[0].tenant_id, many[0].tenant_id}
    assert [grant.tenant_id for _, grant in page[:2]].count(few[0].tenant_id) == 1
    assert rest == page[3:]
    under_way, most = 0, 0

    class Counting(GrantActions):
        async def deal_with(self, grant: Any, action: ContainAction) -> ContainedGrant:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().deal_with(grant, action)
            finally:
                under_way -= 1

    made = world.services
    actions = Counting(world.store, made.provider, made.refreshing.limiter, made.refreshing.refresher)
    await Containment(world.store, actions, at_once=2).deal_with(frozen, ContainAction.revoke)
    assert most == 2
    assert {each.status for each in await desk.report(frozen)} == {GrantStatus.dead}


async def test_the_command_changes_nothing_without_yes_and_shows_what_it_would_hit(
    keyrack: World, simulator: RunningSimulator
) -> None:
    secrets = await connected(keyrack, simulator, 2)
    client = secrets[0].auth_client_id

    async def run(*words: str) -> Any:
        done = await asyncio.to_thread(forked_commands.run, [*words, "--json"], environment(keyrack.settings), 60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    shown = await run("contain", "--client", client)
    assert (shown["grants"], shown["workspaces"], shown["users"], shown["tenants"]) == (2, 1, 1, 1)
    assert await run("frozen") == []
    assert works(simulator, secrets[0]) == [True, True]
    report = await run("contain", "--client", client, "--reason", "a leak", "--yes")
    assert (report["dead"], report["alive"], report["unknown"]) == (2, 0, 0)
    assert works(simulator, secrets[0]) == [False, False]
    (frozen,) = await run("frozen")
    assert (frozen["target"], frozen["reason"], frozen["lifted_at"]) == (client, "a leak", None)
    lifted = await run("unfreeze", frozen["freeze_id"])
    assert lifted["lifted"] is True


async def test_a_rehearsal_ends_all_grants_of_an_installation_of_its_own(keyrack: World) -> None:
    words = ["contain", "--rehearse", "5", "--json"]
    done = await asyncio.to_thread(forked_commands.run, words, environment(keyrack.settings), 120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["dead"], report["first_tokens_that_still_work_at_the_provider"]) == (5, 0)
    assert report["reads_refused_while_frozen"] is True
    assert await keyrack.services.containment.list() == []
