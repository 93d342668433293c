"""`keyrack.client` against a served Keyrack: results, pages, errors; threads and asyncio alike."""

import asyncio
import inspect
import json
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest

from keyrack.client import (
    AsyncKeyrack,
    Conflict,
    Forbidden,
    Invalid,
    Keyrack,
    Misconfigured,
    NotFound,
    NotRefreshable,
    ProviderFault,
    Refused,
    TokenNotValid,
    Unauthorized,
)
from keyrack.client.sending import answer_of
from keyrack.ids import new_id
from keyrack.simulator.testing import RunningSimulator
from support.consent import add_oauth_client
from support.flows import Site, flow_body, site, step_of
from support.grants import connect
from support.running import Running, in_loop, threaded
from support.secrets import resource

Ask = Callable[..., Any]
"""Calls a method of the client by its name, and returns a list for what iterates."""


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}", apart=True)


@pytest.fixture(params=["threads", "asyncio"])
async def ask(request: pytest.FixtureRequest, running: Running, place: Site) -> AsyncIterator[Ask]:
    """The integrator of the place asks, with each of the two clients."""
    if request.param == "threads":
        with threaded(running.base, place.user) as keyrack:

            def call(name: str, *words: Any, **more: Any) -> Any:
                found = getattr(keyrack, name)(*words, **more)
                return list(found) if isinstance(found, Iterator) else found

            async def in_thread(*words: Any, **more: Any) -> Any:
                return await asyncio.to_thread(call, *words, **more)

            yield in_thread
    else:
        async with in_loop(running.base, place.user) as other:

            async def awaited(name: str, *words: Any, **more: Any) -> Any:
                found = getattr(other, name)(*words, **more)
                return [each async for each in found] if isinstance(found, AsyncIterator) else await found

            yield awaited


async def test_everything_around_a_secret_can_be_read(place: Site, ask: Ask) -> None:
    assert (await ask("me")).email == place.user.name
    (contract,) = await ask("contracts")
    assert contract == await ask("contract", place.contract_id)
    (workspace,) = await ask("workspaces", contract_id=place.contract_id)
    assert workspace == await ask("workspace", place.workspace_id)
    assert (workspace.contract_id, workspace.name, contract.name) == (place.contract_id, place.name, place.name)
    (flow,) = await ask("flows", place.workspace_id, status="active")
    assert flow == await ask("flow", place.flow_id)
    assert [node["id"] for node in flow.graph["nodes"]] == ["step_1", "step_2"]
    assert await ask("flows", place.workspace_id, search="no such name") == []
    component = await ask("component", place.component_id)
    assert (component.team_name, component.name, component.access) == ("acme", f"{place.name}-ledger", "tenant")
    assert component in await ask("components", place.contract_id)
    (credential,) = await ask("credentials", place.workspace_id, component_id=place.component_id)
    assert credential == await ask("credential", place.credential_id)
    assert credential.keys == {"key": f"{place.name}-key"}
    (client,) = await ask("auth_clients", workspace_id=place.workspace_id, component_id=place.second_id)
    assert (client.id, client.type, client.component_ids) == (place.auth_client_id, "oauth2", (place.second_id,))
    assert client == await ask("auth_client", place.auth_client_id)
    (secret,) = await ask("secrets", place.workspace_id, state="ready", auth_client_id=place.auth_client_id)
    assert (secret.id, secret.auth_client_id, secret.state) == (place.secret_id, place.auth_client_id, "ready")
    assert (await ask("secret", place.workspace_id, place.secret_id)).access_token.reveal() == "at-1"
    assert await ask("secrets", place.workspace_id, user_id="0" * 24) == []


async def test_lists_are_read_page_by_page_to_their_end(place: Site, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyrack.client.calls.PAGE_SIZE", 2)
    names = [f"more {number}" for number in range(4)]
    for name in names:
        body = flow_body(place.workspace_id, f"acme/{place.name}-ledger:due", name=name)
        resource(await place.user.post("/v2/flows", body), 201)
    assert [flow.name for flow in await ask("flows", place.workspace_id)] == ["Friday", *names]
    components = await ask("components", place.contract_id)
    assert len({component.id for component in components}) == len(components) >= 2


async def test_a_tenant_admin_reads_oauth_clients(running: Running) -> None:
    acme = running.world.tenants["Acme"]
    component = await running.world.add_component(acme, f"own-{new_id()}", {"title": "Own"})
    made = await add_oauth_client(running.world, "Acme", component, "their-id", "their-shh")

    def read() -> None:
        with threaded(running.base, acme.admin) as keyrack:
            (client,) = keyrack.oauth_clients(acme.id, component_id=component)
            assert client == keyrack.oauth_client(acme.id, made)
            assert (client.client_id, client.client_secret.reveal()) == ("their-id", "their-shh")
            assert client.component_id == component
            assert "their-shh" not in repr(client)

    await asyncio.to_thread(read)
    with_orphan = await acme.admin.delete(f"/v2/components/{component}")
    assert with_orphan.status_code == 204

    def read_orphan() -> None:
        with threaded(running.base, acme.admin) as keyrack:
            assert keyrack.oauth_client(acme.id, made).component_id is None

    await asyncio.to_thread(read_orphan)


async def test_a_refresh_returns_the_new_token_and_what_is_left_of_it(
    running: Running, simulator: RunningSimulator
) -> None:
    acme = running.world.tenants["Acme"]
    connected = await connect(running.world, simulator, age=60)
    old = connected.secret.credentials["access_token"]
    async with in_loop(running.base, acme.admin) as keyrack:
        read = await keyrack.secret(acme.workspace_id, connected.secret.id)
        assert read.access_token is not None
        assert read.access_token.reveal() == old
        assert read.seconds_left is not None
        assert 3000 < read.seconds_left < 3560
        new = await keyrack.refresh(acme.workspace_id, connected.secret.id)
        assert new.access_token is not None
        assert new.access_token.reveal() != old
        again = await keyrack.secret(acme.workspace_id, connected.secret.id, min_validity=1800)
        assert again.access_token == new.access_token
        assert again.expires_at == new.expires_at


async def error(work: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value


async def test_what_is_refused_is_an_error_of_its_class(running: Running, place: Site, ask: Ask) -> None:
    other = await site(running.world, running.world.tenants["Globex"], f"other-{new_id()}")
    missing = await error(ask("flow", "0" * 24))
    assert (type(missing), missing.status, missing.code) == (NotFound, 404, "not_found")
    assert missing.request_id
    assert type(await error(ask("secret", other.workspace_id, other.secret_id))) is Forbidden
    wrong = await error(ask("secret", place.workspace_id, place.secret_id, min_validity=-1))
    assert (type(wrong), wrong.code, wrong.problems[0].parameter) == (Invalid, "validation_error", "min_validity")
    assert wrong.pointer is None
    assert type(await error(ask("refresh", place.workspace_id, place.secret_id))) is NotRefreshable
    assert "../" not in str(await error(ask("flow", "../users/me")))
    assert "at-1" not in str(wrong)


async def test_an_unknown_key_is_unauthorized(running: Running, place: Site) -> None:
    async with AsyncKeyrack(running.base, place.user.name, "wrong") as keyrack:
        refused = await error(keyrack.me())
        assert (type(refused), refused.code) == (Unauthorized, "unauthorized")


async def test_what_a_provider_does_is_told(running: Running, simulator: RunningSimulator) -> None:
    acme = running.world.tenants["Acme"]
    connected = await connect(running.world, simulator, {"fail": "invalid_grant"})
    async with in_loop(running.base, acme.admin) as keyrack:
        told = await error(keyrack.refresh(acme.workspace_id, connected.secret.id))
        assert (type(told), told.code, told.meta["error"]) == (ProviderFault, "provider_error", "invalid_grant")
        expired = await error(keyrack.secret(acme.workspace_id, connected.secret.id, min_validity=10))
        assert isinstance(expired, TokenNotValid)
        assert isinstance(expired, Conflict)
        assert expired.meta["error_code"] == "reauthorization_required"
        secret = await keyrack.secret(acme.workspace_id, connected.secret.id)
        assert (secret.state, secret.error_code) == ("error", "reauthorization_required")
        assert secret.error


async def test_a_component_finds_keyrack_in_its_environment(running: Running, place: Site) -> None:
    step = await step_of(running.world, place.flow_id)
    variables = running.variables(step, place)
    async with AsyncKeyrack.from_environment({**variables, "ELASTICIO_API_URI": f" {running.base}/ "}) as keyrack:
        secret = await keyrack.secret(place.workspace_id, place.secret_id)
        assert secret.access_token is not None
    with pytest.raises(Misconfigured, match="ELASTICIO_API_USERNAME, ELASTICIO_API_KEY"):
        Keyrack.from_environment({"ELASTICIO_API_URI": running.base})


@pytest.mark.parametrize(
    "base",
    ["", "keyrack.example", "ftp://keyrack.example", "https://a:b@keyrack.example", "https://keyrack.example?x=1"],
)
def test_an_address_that_is_none_is_told_at_once(base: str) -> None:
    with pytest.raises(Misconfigured):
        Keyrack(base, "me@example.com", "key")
    with pytest.raises(Misconfigured):
        AsyncKeyrack("https://keyrack.example", "me@example.com", "")


async def test_nothing_secret_shows(running: Running, place: Site, ask: Ask) -> None:
    secret = await ask("secret", place.workspace_id, place.secret_id)
    credential = await ask("credential", place.credential_id)
    shown = [repr(secret), str(secret), repr(secret.access_token), repr(credential), f"{secret} {credential}"]
    keyrack = threaded(running.base, place.user)
    shown += [repr(keyrack), repr(vars(keyrack))]
    try:
        await asyncio.to_thread(keyrack.flow, "0" * 24)
    except NotFound as refused:
        shown += traceback.format_exception(refused)
    keyrack.close()
    path = f"/v2/workspaces/{place.workspace_id}/secrets/{place.secret_id}"
    async with httpx2.AsyncClient(base_url=running.base, auth=(place.user.name, place.user.api_key)) as http:
        answer = answer_of(await http.get(path))
    assert answer.status == 200
    shown.append(repr(answer))  # what reports of a failure show of the variables on the way
    text = "\n".join(shown)
    for hidden in ("at-1", f"{place.name}-key", place.user.api_key):
        assert hidden not in text
    with pytest.raises(TypeError):
        json.dumps(secret.access_token)


def test_both_clients_have_the_same_calls() -> None:
    def calls_of(client: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in methods if not name.startswith("_")}

    threads, tasks = calls_of(Keyrack), calls_of(AsyncKeyrack)
    assert {**threads, "aclose": threads["close"]} == {**tasks, "close": tasks["aclose"]}
