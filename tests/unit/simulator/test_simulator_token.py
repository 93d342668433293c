import base64
import json
from typing import Any

import msgspec
import pytest

from keyrack.crypto.secret import Secret
from keyrack.simulator.config import Client

CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"
Driver = Any


def change_client(driver: Driver, **changes: Any) -> None:
    state = driver.sim.state
    state.put_client(msgspec.structs.replace(state.client(driver.client_id), **changes))


async def test_code_gives_tokens_that_work(driver: Driver) -> None:
    tokens = await driver.connect(scope="read write")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == "read write"
    assert await driver.works(tokens["access_token"])
    assert not await driver.works(tokens["refresh_token"])
    assert not await driver.works("unknown")


async def test_code_is_used_once_and_a_replay_revokes_what_it_gave(driver: Driver) -> None:
    code = (await driver.authorize())["code"]
    _, tokens = await driver.exchange(code)
    status, answer = await driver.exchange(code)
    assert (status, answer["error"]) == (400, "invalid_grant")
    assert not await driver.works(tokens["access_token"])
    assert (await driver.refresh(tokens["refresh_token"]))[0] == 400


async def test_code_ends_with_its_lifetime(driver: Driver) -> None:
    code = (await driver.authorize(sim="code_lifetime:0"))["code"]
    assert (await driver.exchange(code))[1]["error"] == "invalid_grant"


async def test_code_belongs_to_its_client(driver: Driver) -> None:
    driver.sim.state.add_client(Client(client_id="other", client_secret=Secret("o"), redirect_uris=(CALLBACK,)))
    code = (await driver.authorize())["code"]
    status, answer = await driver.token(
        auth=False,
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        client_id="other",
        client_secret="o",
    )
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_redirect_uri_must_be_that_of_the_request(driver: Driver) -> None:
    code = (await driver.authorize())["code"]
    for other in ({"redirect_uri": CALLBACK + "/"}, {}):
        status, answer = await driver.token(grant_type="authorization_code", code=code, **other)
        assert (status, answer["error"]) == (400, "invalid_grant")


async def test_redirect_uri_left_out_of_both(driver: Driver) -> None:
    change_client(driver, redirect_uris=(CALLBACK,))
    code = (await driver.authorize(redirect_uri=""))["code"]
    assert (await driver.token(grant_type="authorization_code", code=code))[0] == 200


async def test_pkce(driver: Driver) -> None:
    async def code() -> str:
        answer = await driver.authorize(code_challenge=CHALLENGE, code_challenge_method="S256")
        return str(answer["code"])

    assert (await driver.exchange(await code(), code_verifier=VERIFIER))[0] == 200
    assert (await driver.exchange(await code(), code_verifier="w" * 43))[1]["error"] == "invalid_grant"
    assert (await driver.exchange(await code()))[1]["error"] == "invalid_grant"


async def test_pkce_verifier_without_challenge_is_refused(driver: Driver) -> None:
    code = (await driver.authorize())["code"]
    assert (await driver.exchange(code, code_verifier=VERIFIER))[1]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("rule", "params"),
    [
        ("required", {}),
        ("optional", {"code_challenge": CHALLENGE}),
        ("optional", {"code_challenge": CHALLENGE, "code_challenge_method": "plain"}),
        ("optional", {"code_challenge": "short", "code_challenge_method": "S256"}),
        ("optional", {"code_challenge_method": "S256"}),
        ("refused", {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}),
    ],
)
async def test_pkce_rules_of_the_client(driver: Driver, rule: str, params: dict[str, str]) -> None:
    change_client(driver, pkce=rule)
    assert (await driver.authorize(**params))["error"] == "invalid_request"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_required_client_authentication(driver: Driver, method: str) -> None:
    change_client(driver, token_endpoint_auth_method=method)
    pair = base64.b64encode(f"{driver.client_id}:{driver.client_secret}".encode()).decode()
    form = {"grant_type": "client_credentials"}
    url = driver.sim.token_endpoint
    async with driver.http.post(url, data=form, headers={"Authorization": f"Basic {pair}"}) as basic:
        assert (basic.status == 200) is (method == "client_secret_basic")
        assert ("WWW-Authenticate" in basic.headers) is (basic.status == 401)
    status, _ = await driver.token(**form)
    assert (status == 200) is (method == "client_secret_post")


async def test_basic_credentials_are_form_encoded(driver: Driver) -> None:
    driver.sim.state.add_client(Client(client_id="a:b c", client_secret=Secret("p%:+"), redirect_uris=(CALLBACK,)))
    pair = base64.b64encode(b"a%3Ab+c:p%25%3A%2B").decode()
    headers = {"Authorization": f"Basic {pair}"}
    form = {"grant_type": "client_credentials"}
    async with driver.http.post(driver.sim.token_endpoint, data=form, headers=headers) as answer:
        assert answer.status == 200


async def test_public_client(driver: Driver) -> None:
    public = Client(client_id="public", token_endpoint_auth_method="none", redirect_uris=(CALLBACK,))
    driver.sim.state.add_client(public)
    driver.client_id = "public"
    code = (await driver.authorize())["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "public"}
    assert (await driver.token(auth=False, **form, client_secret="x"))[1]["error"] == "invalid_client"
    assert (await driver.token(auth=False, **form))[0] == 200
    assert (await driver.token(auth=False, client_id="public", grant_type="client_credentials"))[0] == 400


@pytest.mark.parametrize(
    ("headers", "form", "error", "status"),
    [
        ({}, {"client_id": "simulator-client", "client_secret": "wrong"}, "invalid_client", 401),
        ({}, {"client_id": "simulator-client"}, "invalid_client", 401),
        ({}, {"client_id": "nobody", "client_secret": "x"}, "invalid_client", 401),
        ({}, {}, "invalid_client", 401),
        ({"Authorization": "Basic !!"}, {}, "invalid_request", 400),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}, {}, "invalid_request", 400),
        ({"Authorization": "Bearer x"}, {}, "invalid_request", 400),
        (
            {"Authorization": "Basic " + base64.b64encode(b"simulator-client:x").decode()},
            {"client_secret": "x"},
            "invalid_request",
            400,
        ),
        (
            {"Authorization": "Basic " + base64.b64encode(b"simulator-client:x").decode()},
            {"client_id": "other"},
            "invalid_request",
            400,
        ),
    ],
)
async def test_refused_client_authentication(
    driver: Driver, headers: dict[str, str], form: dict[str, str], error: str, status: int
) -> None:
    data = {"grant_type": "client_credentials", **form}
    async with driver.http.post(driver.sim.token_endpoint, data=data, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["error"] == error


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        (b"", "application/json", 400, "invalid_request"),
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400, "invalid_request"),
        (b"\xff=1", "application/x-www-form-urlencoded", 400, "invalid_request"),
        (b"a=%ff", "application/x-www-form-urlencoded", 400, "invalid_request"),
        (b"&".join(b"x%d=1" % n for n in range(200)), "application/x-www-form-urlencoded", 400, "invalid_request"),
        (b"a=" + b"b" * 70_000, "application/x-www-form-urlencoded", 413, None),
    ],
)
async def test_malformed_token_requests(
    driver: Driver, body: bytes, content_type: str, status: int, error: str | None
) -> None:
    headers = {"Content-Type": content_type}
    async with driver.http.post(driver.sim.token_endpoint, data=body, headers=headers) as answer:
        assert answer.status == status
        if error:
            assert (await answer.json())["error"] == error


async def test_grant_types(driver: Driver) -> None:
    assert (await driver.token())[1]["error"] == "invalid_request"
    assert (await driver.token(grant_type="magic"))[1]["error"] == "unsupported_grant_type"
    status, answer = await driver.token(grant_type="client_credentials", scope="a")
    assert status == 200
    assert "refresh_token" not in answer
    assert await driver.works(answer["access_token"])


async def test_scope_of_a_refresh_may_shrink_only(driver: Driver) -> None:
    tokens = await driver.connect(scope="a b")
    assert (await driver.refresh(tokens["refresh_token"], scope="a"))[1]["scope"] == "a"
    assert (await driver.refresh(tokens["refresh_token"], scope="a c"))[1]["error"] == "invalid_scope"


async def test_scopes_of_the_client(driver: Driver) -> None:
    change_client(driver, scopes=("a", "b"))
    assert (await driver.authorize(scope="c"))["error"] == "invalid_scope"
    assert (await driver.connect())["scope"] == "a b"


async def test_jwt_access_tokens_are_signed_by_the_published_key(driver: Driver) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - only this test
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    def raw(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    driver.behave(access_token_format="jwt", access_token_lifetime=120)
    token = (await driver.connect(scope="a"))["access_token"]
    head, claims, signature = token.split(".")
    async with driver.http.get(f"{driver.sim.base_url}/jwks.json") as answer:
        (key,) = (await answer.json())["keys"]
    x, y = (int.from_bytes(raw(key[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    r, s = (int.from_bytes(raw(signature)[part], "big") for part in (slice(32), slice(32, 64)))
    public.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    said = json.loads(raw(claims))
    assert (said["iss"], said["sub"], said["scope"]) == (driver.sim.base_url, "alice", "a")
    assert said["exp"] - said["iat"] == 120
    assert await driver.works(token)


async def test_revocation(driver: Driver) -> None:
    tokens = await driver.connect()
    other = await driver.connect()
    auth = {"client_id": driver.client_id, "client_secret": driver.client_secret}

    async def revoke(**form: str) -> int:
        async with driver.http.post(f"{driver.sim.base_url}/revoke", data=form) as answer:
            return int(answer.status)

    assert await revoke(token=tokens["access_token"]) == 401
    assert await revoke(**auth) == 400
    assert await revoke(**auth, token="unknown") == 200
    assert await driver.works(tokens["access_token"])
    assert await revoke(**auth, token=tokens["access_token"]) == 200
    assert not await driver.works(tokens["access_token"])
    fresh = (await driver.refresh(tokens["refresh_token"]))[1]["access_token"]
    assert await revoke(**auth, token=tokens["refresh_token"]) == 200
    assert not await driver.works(fresh)
    assert await driver.works(other["access_token"])
    driver.sim.state.add_client(Client(client_id="o", client_secret=Secret("o"), redirect_uris=(CALLBACK,)))
    assert await revoke(client_id="o", client_secret="o", token=other["access_token"]) == 400
    assert await driver.works(other["access_token"])


async def test_introspection(driver: Driver) -> None:
    tokens = await driver.connect(scope="a")
    url = f"{driver.sim.base_url}/introspect"
    auth = {"client_id": driver.client_id, "client_secret": driver.client_secret}
    async with driver.http.post(url, data={**auth, "token": tokens["refresh_token"]}) as answer:
        seen = await answer.json()
    assert (seen["active"], seen["scope"], seen["username"]) == (True, "a", "alice")
    driver.sim.state.book.expire(lambda _token: True)
    async with driver.http.post(url, data={**auth, "token": tokens["refresh_token"]}) as answer:
        assert await answer.json() == {"active": False}


async def test_metadata(driver: Driver) -> None:
    async with driver.http.get(f"{driver.sim.base_url}/.well-known/oauth-authorization-server") as answer:
        document = await answer.json()
    assert document["issuer"] == driver.sim.base_url == (await driver.authorize())["iss"]
    assert document["authorization_endpoint"] == driver.sim.authorization_endpoint
    assert document["token_endpoint"] == driver.sim.token_endpoint
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
