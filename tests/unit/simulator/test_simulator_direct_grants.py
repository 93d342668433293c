"""The simulator's grants without a browser, strict in everything that a client can get wrong."""

from typing import Any

import msgspec
import pytest
from joserfc import jwk, jwt

from keyrack.simulator.config import Client
from keyrack.simulator.direct_grants import JWT_BEARER, PASSWORD, TOKEN_EXCHANGE

Driver = Any
KEY = jwk.generate_key("EC", "P-256", {"kid": "one"})
OTHER = jwk.generate_key("EC", "P-256", {"kid": "one"})
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def change_client(driver: Driver, **changes: Any) -> None:
    state = driver.sim.state
    state.put_client(msgspec.structs.replace(state.client(driver.client_id), **changes))


async def asked(driver: Driver, **form: Any) -> tuple[int, str]:
    status, answer = await driver.token(**{name: value for name, value in form.items() if value is not None})
    return status, answer.get("error", "")


async def test_a_password_is_taken_with_its_name_and_nothing_else(driver: Driver) -> None:
    form = {"grant_type": PASSWORD, "username": "alice", "password": "wonderland", "scope": "read"}
    status, tokens = await driver.token(**form)
    assert (status, tokens["scope"]) == (200, "read")
    assert await driver.works(tokens["access_token"])
    assert (await driver.refresh(tokens["refresh_token"]))[0] == 200
    assert await asked(driver, **form | {"password": "wrong"}) == (400, "invalid_grant")
    assert await asked(driver, **form | {"username": "nobody"}) == (400, "invalid_grant")
    assert await asked(driver, **form | {"password": None}) == (400, "invalid_request")
    change_client(driver, scopes=("write",))
    assert await asked(driver, **form) == (400, "invalid_scope")
    change_client(driver, grant_types=("refresh_token",))
    assert await asked(driver, **form) == (400, "unauthorized_client")


def signed(driver: Driver, key: Any = KEY, **changes: Any) -> str:
    now = int(driver.sim.state.book.now())
    claims = {"iss": "robot", "sub": "robot", "aud": driver.sim.token_endpoint, "jti": "j", "iat": now, "exp": now + 60}
    whole = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode({"alg": "ES256", "kid": "one"}, whole, key)


def add_robot(driver: Driver) -> None:
    public = (KEY.as_dict(private=False),)
    driver.sim.state.add_client(Client(client_id="robot", token_endpoint_auth_method="none", jwks=public))


async def test_an_assertion_is_taken_once_and_brings_no_refresh_token(driver: Driver) -> None:
    add_robot(driver)
    for subject in ("robot", "alice"):
        form = {"grant_type": JWT_BEARER, "assertion": signed(driver, sub=subject, jti=subject), "scope": "read"}
        status, tokens = await driver.token(auth=False, **form)
        assert (status, tokens.get("refresh_token")) == (200, None)
        assert await driver.works(tokens["access_token"])
        assert await asked(driver, auth=False, **form) == (400, "invalid_grant")
        assert await asked(driver, auth=False, **form, client_id="robot") == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "nobody"}, {"iss": None}, {"iss": "simulator-client"}, {"sub": "nobody"}, {"sub": None}, {"sub": 7},
        {"aud": "https://elsewhere.example/token"}, {"aud": None}, {"exp": 1}, {"exp": None}, {"exp": "soon"},
        {"exp": 99_999_999_999}, {"iat": 99_999_999_999}, {"nbf": 99_999_999_999}, {"nbf": "soon"}, {"jti": None},
        {"key": OTHER},
    ],
)  # fmt: skip
async def test_an_assertion_with_anything_wrong_is_refused(driver: Driver, changes: dict[str, Any]) -> None:
    add_robot(driver)
    assertion = signed(driver, **changes)
    assert await asked(driver, auth=False, grant_type=JWT_BEARER, assertion=assertion) == (400, "invalid_grant")


async def test_what_is_no_assertion_is_refused(driver: Driver) -> None:
    add_robot(driver)
    for text in ("nonsense", "a.b.c", "é.é.é"):
        assert await asked(driver, auth=False, grant_type=JWT_BEARER, assertion=text) == (400, "invalid_grant"), text
    named = {"auth": False, "client_id": "robot", "grant_type": JWT_BEARER}
    assert await asked(driver, **named) == (400, "invalid_request")
    assert await asked(driver, **named, assertion="a.b.c") == (400, "invalid_grant")


async def test_a_token_is_exchanged_for_one_with_no_more_scope(driver: Driver) -> None:
    tokens = await driver.connect(scope="read write")
    form = {"grant_type": TOKEN_EXCHANGE, "subject_token": tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    status, answer = await driver.token(
        **form, scope="read", audience="simulator-client", resource="https://api.example/",
        actor_token=tokens["access_token"], actor_token_type=ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN,
    )  # fmt: skip
    assert status == 200
    assert (answer["issued_token_type"], answer["scope"]) == (ACCESS_TOKEN, "read")
    assert "refresh_token" not in answer
    assert await driver.works(answer["access_token"])
    wrong: dict[str, list[dict[str, Any]]] = {
        "invalid_scope": [{"scope": "read admin"}],
        "invalid_target": [{"audience": "nobody"}, {"resource": "not an address"}, {"resource": "https://a.example/#x"}],
        "invalid_request": [
            {"subject_token": "unknown"}, {"subject_token": None}, {"subject_token_type": "urn:other"},
            {"subject_token": tokens["refresh_token"]}, {"actor_token_type": ACCESS_TOKEN},
            {"actor_token": "unknown", "actor_token_type": ACCESS_TOKEN}, {"requested_token_type": "urn:other"},
        ],
    }  # fmt: skip
    for error, cases in wrong.items():
        for case in cases:
            assert await asked(driver, **form | case) == (400, error), case
    assert (await asked(driver, **form))[0] == 200


def test_a_client_has_public_keys_only() -> None:
    with pytest.raises(ValueError, match="jwks are public keys"):
        Client(client_id="robot", token_endpoint_auth_method="none", jwks=(KEY.as_dict(private=True),))
