"""Reports on grants: which nobody reads, which will end and why; a part at a time, for those who may know."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.model.clients import AuthClient, SecretExpiry
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.store import grant_reports
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.schema import auth_secrets
from support.app import Caller, World, error_of
from support.grants import add_auth_client, add_secret, change

DAY = timedelta(days=1)
TOKENS = {"access_token": "at-secret", "refresh_token": "rt-secret"}
ELSEWHERE = "https://id.example/token"
GOOGLE = "https://oauth2.googleapis.com/token"


async def client_at(world: World, uri: str, **credentials: Any) -> AuthClient:
    return await add_auth_client(world.store, world.tenants["Acme"].id, uri, **credentials)


async def secret_of(world: World, client: AuthClient, **values: Any) -> AuthSecret:
    """Store a grant whose token is fresh; columns that no use case writes are set by SQL."""
    made = await add_secret(world.store, world.tenants["Acme"], client, dict(TOKENS), age=0)
    columns = {name: values.pop(name) for name in ("created_at", "last_used_at") if name in values}
    if values:
        made = await change(world.store, made, **values)
    if columns:
        async with world.store.unit(made.tenant_id, writes=True) as unit:
            await unit.connection.execute(update(auth_secrets).where(auth_secrets.c.id == made.id).values(**columns))
    return made


async def report(who: Caller, tenant_id: str, kind: str, query: str = "") -> dict[str, dict[str, Any]]:
    """Read a report to its end; return attributes by id."""
    found: dict[str, dict[str, Any]] = {}
    after = ""
    while True:
        answer = await who.get(f"/v2/tenants/{tenant_id}/{kind}?{query}{after}")
        assert answer.status_code == 200, answer.text
        document = answer.json()
        for each in document["data"]:
            assert each["id"] not in found
            found[each["id"]] = each["attributes"]
        if document["meta"]["after"] is None:
            return found
        after = f"&page[after]={document['meta']['after']}"


async def test_idle_grants_are_those_not_read_for_so_many_days(keyrack_on_each: World) -> None:
    world, acme, now = keyrack_on_each, keyrack_on_each.tenants["Acme"], datetime.now(UTC)
    client = await client_at(world, ELSEWHERE)
    long_ago = {"created_at": now - 300 * DAY}
    unread = await secret_of(world, client, **long_ago)
    read_once = await secret_of(world, client, **long_ago, last_used_at=now - 100 * DAY)
    await secret_of(world, client, **long_ago, last_used_at=now - 80 * DAY)
    await secret_of(world, client)  # made just now
    for limit in (1, 500):
        found = await report(acme.admin, acme.id, "idle-grants", f"page[limit]={limit}")
        assert set(found) == {unread.id, read_once.id}
    assert found[unread.id]["last_used_at"] is None
    assert found[read_once.id]["name"] == read_once.name
    assert found[read_once.id]["auth_client_name"] == client.name
    assert set(await report(acme.admin, acme.id, "idle-grants", "filter[days]=200")) == {unread.id}
    assert len(await report(acme.admin, acme.id, "idle-grants", "filter[days]=70")) == 3
    assert await report(world.tenants["Globex"].admin, world.tenants["Globex"].id, "idle-grants") == {}
    assert "secret" not in str({**found[unread.id], "name": ""})


async def test_a_report_goes_through_all_grants_in_parts_of_bounded_size(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grant_reports, "WINDOW", 3)
    world, acme, now = keyrack_on_each, keyrack_on_each.tenants["Acme"], datetime.now(UTC)
    client = await client_at(world, ELSEWHERE)
    wanted = set()
    for number in range(11):
        each = await secret_of(world, client, created_at=now - (300 if number % 5 == 4 else 1) * DAY)
        if number % 5 == 4:
            wanted.add(each.id)
    first = (await acme.admin.get(f"/v2/tenants/{acme.id}/idle-grants")).json()
    assert (first["data"], first["meta"]["after"] is None) == ([], False)
    assert set(await report(acme.admin, acme.id, "idle-grants")) == wanted
    assert set(await report(acme.admin, acme.id, "idle-grants", "page[limit]=1")) == wanted


async def test_what_the_provider_said_is_told_with_when_and_what_to_do(keyrack_on_each: World) -> None:
    world, acme, now = keyrack_on_each, keyrack_on_each.tenants["Acme"], datetime.now(UTC)
    client, soon, late = await client_at(world, ELSEWHERE), now + 10 * DAY, now + 40 * DAY
    failure = Failure("temporary", "It cannot answer.", status=503)
    ends = await secret_of(world, client, grant_expires_at=soon)
    fixed = await secret_of(world, client, grant_expires_at=soon, refreshable=False)
    stuck = await secret_of(
        world, client, refresh_token_expires_at=soon, failure=failure, failed_at=now, failure_count=1
    )
    await secret_of(world, client, refresh_token_expires_at=soon)  # is refreshed before
    await secret_of(world, client, grant_expires_at=late)
    await secret_of(world, client, grant_expires_at=soon, state=SecretState.error, error="Gone.")  # is dead
    found = await report(acme.admin, acme.id, "ending-grants")
    reasons = {ends.id: "grant_lifetime", fixed.id: "token_not_renewable", stuck.id: "refresh_token_unused"}
    assert {each: [end["reason"] for end in told["ends"]] for each, told in found.items()} == {
        each: [reason] for each, reason in reasons.items()
    }
    for told in found.values():
        (end,) = told["ends"]
        assert end["basis"] == "known"
        assert end["at"].startswith(f"{soon:%Y-%m-%dT%H:%M}")
        assert end["says"]
        assert end["remedy"]
    assert len(await report(acme.admin, acme.id, "ending-grants", "filter[days]=50")) == 4


async def test_grants_end_with_their_clients_secret(keyrack_on_each: World) -> None:
    world, acme, now = keyrack_on_each, keyrack_on_each.tenants["Acme"], datetime.now(UTC)
    client, managed, other = [await client_at(world, ELSEWHERE) for _ in range(3)]
    registered = {"registration_client_uri": "https://id.example/c", "registration_access_token": "rat"}
    async with world.store.unit(acme.id, writes=True) as unit:
        for each, more in ((client, {}), (managed, registered)):
            ends = SecretExpiry(now + 5 * DAY, None)
            changed = replace(each, expiry=ends, credentials={**each.credentials, **more})
            await AuthClientRows(unit).replace(changed, "https://id.example")
    concerned = await secret_of(world, client)
    for spared in (managed, other):
        await secret_of(world, spared)
    found = await report(acme.admin, acme.id, "ending-grants")
    assert {each: [end["reason"] for end in told["ends"]] for each, told in found.items()} == {
        concerned.id: ["client_secret"]
    }


async def dead(world: World, client: AuthClient, ages: Sequence[timedelta]) -> None:
    now = datetime.now(UTC)
    for age in ages:
        await secret_of(
            world,
            client,
            connected_at=now - age - DAY,
            state=SecretState.error,
            error="Gone.",
            error_code=ErrorCode.reauthorization_required,
            error_at=now - DAY,
        )


async def test_what_others_died_of_is_told_as_a_guess(keyrack_on_each: World) -> None:
    world, acme, now = keyrack_on_each, keyrack_on_each.tenants["Acme"], datetime.now(UTC)
    testing, elsewhere = await client_at(world, GOOGLE), await client_at(world, ELSEWHERE)
    lasting = await client_at(world, "https://lasting.example/token")
    await dead(world, testing, [7 * DAY, 7 * DAY + timedelta(hours=2)])
    await dead(world, elsewhere, [60 * DAY] * 3)
    await dead(world, lasting, [60 * DAY] * 3)
    await secret_of(world, lasting, connected_at=now - 200 * DAY)  # shows that they need not die
    google = await secret_of(world, testing, connected_at=now - 2 * DAY)
    old = await secret_of(world, elsewhere, connected_at=now - 50 * DAY)
    await secret_of(world, elsewhere, connected_at=now - 5 * DAY)
    found = await report(acme.admin, acme.id, "ending-grants")
    ((google_end,), (old_end,)) = (found[each.id]["ends"] for each in (google, old))
    assert set(found) == {google.id, old.id}
    assert (google_end["reason"], google_end["basis"]) == ("google_testing", "guess")
    assert google_end["at"].startswith(f"{now + 5 * DAY:%Y-%m-%dT%H:%M}")
    assert (old_end["reason"], old_end["basis"]) == ("learned_lifetime", "guess")
    assert "60 days" in old_end["says"]


async def test_a_rule_that_comes_into_force_is_told_to_whom_it_concerns(keyrack: World) -> None:
    acme, day = keyrack.tenants["Acme"], datetime.now(UTC) + 20 * DAY
    rule = {
        "since": f"{day:%Y-%m-%d}",
        "says": "Tokens made before end.",
        "scopes": ["read"],
        "documentation": "https://id.example/changes",
    }
    profile = {"name": "ours", "title": "Ours", "rules": [rule]}
    client = await client_at(keyrack, ELSEWHERE, provider_profile=profile)
    concerned = await secret_of(keyrack, client, requested_scopes=("read", "write"))
    await secret_of(keyrack, client, requested_scopes=("write",))
    found = await report(acme.admin, acme.id, "ending-grants")
    assert set(found) == {concerned.id}
    (end,) = found[concerned.id]["ends"]
    assert (end["reason"], end["basis"], end["says"]) == ("provider_rule", "known", rule["says"])
    assert end["documentation"] == rule["documentation"]


@pytest.mark.parametrize("kind", ["idle-grants", "ending-grants"])
async def test_names_are_for_those_who_may_know_them(keyrack: World, kind: str) -> None:
    acme, now = keyrack.tenants["Acme"], datetime.now(UTC)
    made = await secret_of(
        keyrack, await client_at(keyrack, ELSEWHERE), created_at=now - 300 * DAY, grant_expires_at=now + DAY
    )
    auditor = await keyrack.add_service_account("tenants.audit.get")
    reader = await keyrack.add_service_account("tenants.audit.get", "workspaces.auth_secret.get")
    names = [(await report(who, acme.id, kind))[made.id]["name"] for who in (acme.admin, reader, auditor)]
    assert names == [made.name, made.name, None]
    stranger = await keyrack.add_service_account("workspaces.auth_secret.get")
    for who in (stranger, acme.integrator, keyrack.tenants["Globex"].admin):
        assert (await who.get(f"/v2/tenants/{acme.id}/{kind}")).status_code == 403


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("filter[days]=0", "filter[days]"),
        ("filter[days]=3651", "filter[days]"),
        ("filter[days]=1.5", "filter[days]"),
        ("filter[days]=%D9%A3", "filter[days]"),
        ("page[limit]=501", "page[limit]"),
        ("page[limit]=-1", "page[limit]"),
        ("page[after]=x", "page[after]"),
    ],
)
async def test_what_cannot_be_read_is_400(keyrack: World, query: str, parameter: str) -> None:
    acme = keyrack.tenants["Acme"]
    answer = await acme.admin.get(f"/v2/tenants/{acme.id}/idle-grants?{query}")
    assert error_of(answer) == (400, "validation_error", None)
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}
