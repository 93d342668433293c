"""An ID token answers our request, for our client, from the server asked, in time, and signed as far as we can tell."""

import hashlib
import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwk
from joserfc.jws import serialize_compact

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth.id_token import LEEWAY, MAX_KEYS, PublicKey, UnknownKeyError, asks_for_id_token, check_id_token

AT = datetime(2026, 10, 21, 12, tzinfo=UTC)
ISSUER = "https://p.example"
SECRET = Secret("canary-client-secret-0123456789abcdef")
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": "client", "nonce": "n-1", "exp": AT.timestamp() + 60}
EC, OTHER_EC = jwk.generate_key("EC", "P-256"), jwk.generate_key("EC", "P-256")
RSA, OKP = jwk.generate_key("RSA", 2048), jwk.generate_key("OKP", "Ed25519")


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(header: object = None, **changes: Any) -> str:
    return f"{part(header or {'alg': 'RS256'})}.{part(CLAIMS | changes)}.c2ln"


def signed(key: Any, algorithm: str, **header: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `EdDSA` is an old name that servers use
        return serialize_compact({"alg": algorithm, **header}, json.dumps(CLAIMS), key, [algorithm])


def with_secret(algorithm: str, how: Callable[[], Any], secret: Secret = SECRET) -> str:
    before = f"{part({'alg': algorithm})}.{part(CLAIMS)}"
    made = hmac.new(secret.reveal().encode(), before.encode(), how).digest()
    return f"{before}.{urlsafe_b64encode(made).rstrip(b'=').decode()}"


def public(key: Any, **more: Any) -> PublicKey:
    return {**key.as_dict(private=False), **more}


def check(token: str, **changes: Any) -> None:
    given: dict[str, Any] = {"client_id": "client", "client_secret": SECRET, "nonce": "n-1", "at": AT, "issuer": ISSUER}
    check_id_token(token, **(given | changes))


def refuse(token: str, why: str, **changes: Any) -> None:
    with pytest.raises(ProviderError, match=why) as raised:
        check(token, **changes)
    assert "canary" not in str(raised.value)
    assert not isinstance(raised.value, UnknownKeyError)


def test_one_that_answers_our_request_is_taken() -> None:
    check(unsigned())
    check(unsigned(aud=["other", "client"], azp="client"))
    check(unsigned(iss="https://unknown.example"), issuer=None)
    check(unsigned(exp=int(AT.timestamp()) + 1))


def test_one_for_others_is_refused() -> None:
    refuse(unsigned(iss="https://other.example"), "another authorization server")
    refuse(unsigned(iss=None), "another authorization server")
    refuse(unsigned(aud="other"), "another client")
    refuse(unsigned(aud=["other"]), "another client")
    refuse(unsigned(aud=None), "another client")
    refuse(unsigned(azp="other"), "another client")
    refuse(unsigned(nonce="n-2"), "nonce")
    refuse(unsigned(nonce=None), "nonce")
    refuse(unsigned(nonce="\ud800"), "nonce")


def test_one_is_good_until_its_time_and_a_little_longer() -> None:
    now = AT.timestamp()
    check(unsigned(exp=now - LEEWAY + 1))
    refuse(unsigned(exp=now - LEEWAY), "has expired")
    for odd in (None, True, "soon", float("inf"), float("nan")):
        refuse(unsigned(exp=odd), "when it expires")


@pytest.mark.parametrize("algorithm", [None, "none", "HS1", "RS1", 7, "", "rs256"])
def test_an_algorithm_that_signs_nothing_is_refused(algorithm: object) -> None:
    refuse(unsigned({"alg": algorithm}), "without a signature that can be trusted")


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "a.b.c.d.e", "{}.e30.x", "e30.e+30.x", ".e30.x"])
def test_what_has_not_the_form_of_one_is_told_so(token: str) -> None:
    refuse(token, "cannot be read; is it encrypted")


@pytest.mark.parametrize("token", ["bm90.e30.x", "e30.bm90.x", f"{part([])}.e30.x", f"e30.{part('text')}.x", "e.e30.x"])
def test_what_holds_no_objects_is_told_so(token: str) -> None:
    refuse(token, "cannot be read.$")


@pytest.mark.parametrize(
    ("algorithm", "how"), [("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)]
)
def test_a_shared_secret_signs(algorithm: str, how: Callable[[], Any]) -> None:
    token = with_secret(algorithm, how)
    check(token, keys=[])
    refuse(token, "signature", keys=[], client_secret=Secret("another"))
    refuse(token[:-6] + "AAAAAA", "signature", keys=[])
    refuse(with_secret(algorithm, how, Secret("")), "signature", keys=[], client_secret=Secret(""))
    check(unsigned({"alg": algorithm}))
    refuse(f"{token}A", "signature", keys=[])


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "PS512"), (OKP, "EdDSA")])
def test_a_public_key_of_the_server_checks(key: Any, algorithm: str) -> None:
    token = signed(key, algorithm)
    check(token, keys=[public(key)])
    check(token, keys=[public(OTHER_EC), public(key, alg="XX", key_ops=["encrypt"], x5t="odd")])
    refuse(token[:-8] + "AAAAAAAA", "signature", keys=[public(key)])
    refuse(unsigned({"alg": algorithm}), "signature", keys=[public(key)])


def test_a_key_has_to_be_the_one_that_the_token_names() -> None:
    token = signed(EC, "ES256", kid="k-1")
    check(token, keys=[public(EC, kid="k-1", use="sig")])
    check(token, keys=[{name: value for name, value in public(EC).items() if name != "kid"}])
    for keys in ([], [public(EC, kid="k-2")], [public(EC, kid="k-1", use="enc")], [public(RSA, kid="k-1")]):
        with pytest.raises(UnknownKeyError):
            check(token, keys=keys)
    refuse(token, "signature", keys=[public(OTHER_EC, kid="k-1")])


def test_a_key_that_cannot_be_read_is_passed_over_and_only_so_many_are_tried() -> None:
    token = signed(EC, "ES256")
    broken: list[PublicKey] = [{"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": "!", "y": 7}]
    check(token, keys=[*broken, public(EC)])
    refuse(token, "signature", keys=broken)
    check(token, keys=[{"kty": "EC"}] * (MAX_KEYS - 1) + [public(EC)])
    refuse(token, "signature", keys=[{"kty": "EC"}] * MAX_KEYS + [public(EC)])


def test_long_headers_and_claims_are_read() -> None:
    token = serialize_compact(
        {"alg": "ES256", "x5c": ["x" * 30_000]}, json.dumps(CLAIMS | {"groups": ["g" * 100] * 5000}), EC, ["ES256"],
        registry=roomy(),
    )  # fmt: skip
    check(token, keys=[public(EC)])


def roomy() -> Any:
    from keyrack.oauth.id_token import _Registry  # noqa: PLC0415 - the signer needs as much room as the reader

    return _Registry(algorithms=["ES256"], strict_check_header=False)


@pytest.mark.parametrize(
    ("endpoint", "scope", "asks"),
    [("https://p.example/a", "openid mail", True), ("https://p.example/a", "mail,openid", True),
     ("https://p.example/a", "openid2", False), ("https://p.example/a?scope=openid", "", True),
     ("https://p.example/a?scope=openid", "mail", False), ("https://p.example/a?scope=a+openid", "", True),
     ("https://p.example/a?x=openid", "", False), ("https://p.example/a", "", False)],
)  # fmt: skip
def test_a_request_asks_for_one_by_its_scope(endpoint: str, scope: str, asks: bool) -> None:
    assert asks_for_id_token(endpoint, scope) is asks
