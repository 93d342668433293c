"""Grants of all tenants, counted and listed by the state that the database works out (decision 34)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

from sqlalchemy import update

from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.model.operations import AT_RISK, GrantState
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.service.operator.grant_overview import grant_views
from keyrack.service.secrets.status import current_status
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.installation_grants import GrantFilter, InstallationGrants
from keyrack.store.schema import auth_clients
from support.app import World
from support.grants import add_auth_client, add_secret

NOW = datetime.now(UTC)
FAILURES = (
    None,
    Failure("other", "It refused.", error="nope", status=400),
    Failure("client_rejected", "It refused.", error="invalid_client", status=401),
    Failure("no_endpoint", "A web page.", status=404),
    Failure("temporary", "No answer.", reason="timeout"),
    Failure("temporary", "It cannot.", status=503),
    Failure("other", "Without a status."),
)
STORED = ((SecretState.ready, None), *((SecretState.error, code) for code in (None, ErrorCode.refresh_interrupted)))


def variants(secret: AuthSecret) -> Iterator[AuthSecret]:
    """Yield a secret in every combination of what its state depends on."""
    ends = (None, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    for (state, code), expires_at, refreshable, guessed, failure, batch in product(
        STORED, ends, (True, False), (True, False), FAILURES, (None, new_id())
    ):
        yield replace(
            secret, id=new_id(), state=state, error_code=code, expires_at=expires_at, refreshable=refreshable,
            lifetime_guessed=guessed, failure=failure, failed_at=NOW if failure else None,
            cutover_batch_id=batch,
        )  # fmt: skip


def expected(secret: AuthSecret, client: AuthClient) -> GrantState:
    told = current_status(secret, client, NOW)
    if told.state is SecretState.error:
        return GrantState.other if told.error_code is None else GrantState(told.error_code.value)
    if secret.refreshable and client.rejected_at is not None:
        expired = secret.expires_at is not None and secret.expires_at <= NOW
        assert not expired
        return GrantState.paused
    return GrantState.failing if secret.refreshable and secret.failure is not None else GrantState.ready


async def test_the_database_and_the_service_say_the_same(keyrack_on_each: World) -> None:
    store, right = keyrack_on_each.store, Counter[GrantState]()
    by_id: dict[str, GrantState] = {}
    for name, rejected_at in (("Acme", None), ("Globex", NOW)):
        tenant = keyrack_on_each.tenants[name]
        client = await add_auth_client(store, tenant.id, f"https://{name.lower()}.example/token")
        first = await add_secret(store, tenant, client, {"access_token": "at", "refresh_token": "rt"})
        async with store.unit(tenant.id, writes=True) as unit:
            change = update(auth_clients).where(auth_clients.c.id == client.id).values(rejected_at=rejected_at)
            await unit.connection.execute(change)
            await AuthSecrets(unit).remove(first.id)
            for secret in variants(first):
                await AuthSecrets(unit).add(secret)
                by_id[secret.id] = expected(secret, replace(client, rejected_at=rejected_at))
                right[by_id[secret.id]] += 1
    assert set(right) >= set(GrantState) - {GrantState.reauthorization_required, GrantState.unsupported_token_type}
    async with store.installation() as unit:
        counts = await InstallationGrants(unit).counts()
        found = Counter[GrantState]()
        for origin, state, number in counts:
            assert origin in {"https://acme.example", "https://globex.example"}
            found[state] += number
        assert found == right
        for state in right:
            page, total = await InstallationGrants(unit).page(GrantFilter(state), limit=1000, offset=0)
            assert {each.secret.id for each in page} == {key for key, told in by_id.items() if told is state}
            assert {each.state for each in grant_views(page, NOW)} == {state}
            assert total == right[state]
    assert AT_RISK[0] in right


async def test_a_list_is_narrowed_and_paged_across_tenants(keyrack_on_each: World) -> None:
    store, made = keyrack_on_each.store, []
    for name in ("Acme", "Globex"):
        tenant = keyrack_on_each.tenants[name]
        client = await add_auth_client(store, tenant.id, f"https://{name.lower()}.example:8443/token")
        made += [await add_secret(store, tenant, client, {"access_token": "at"}) for _ in range(3)]
    acme = keyrack_on_each.tenants["Acme"]
    async with store.installation() as unit:
        rows = InstallationGrants(unit)
        page, total = await rows.page(GrantFilter(), limit=4, offset=0)
        assert ([each.secret.id for each in page], total) == ([each.id for each in made[:4]], 6)
        page, total = await rows.page(GrantFilter(), limit=4, offset=4)
        assert ([each.secret.id for each in page], total) == ([each.id for each in made[4:]], 6)
        page, total = await rows.page(GrantFilter(tenant_id=acme.id), limit=2, offset=0)
        assert ({each.tenant_name for each in page}, total) == ({"Acme"}, 3)
        page, total = await rows.page(GrantFilter(origin="https://globex.example:8443"), limit=9, offset=0)
        assert ({each.workspace_name for each in page}, total) == ({"Globex workspace"}, 3)
        page, total = await rows.page(GrantFilter(origin=""), limit=9, offset=0)
        assert (page, total) == ([], 0)
        page, total = await rows.page(GrantFilter(auth_client_id=made[0].auth_client_id), limit=9, offset=0)
        assert ({each.client.name for each in page}, total) == ({"Simulator"}, 3)
    assert all(each.secret.credentials == {} for each in page)
