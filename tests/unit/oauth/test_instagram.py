"""Long-lived tokens of Instagram: where they are exchanged, and what of the short-lived answer stays."""

import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_auth import RequestAuthentication, TokenEndpointAuthMethod
from keyrack.oauth.instagram import EXCHANGE, exchange_endpoint
from keyrack.oauth.long_lived import build_exchange_request, long_lived
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse


@pytest.mark.parametrize(
    ("refresh", "exchange"),
    [
        ("https://graph.instagram.com/refresh_access_token", "https://graph.instagram.com/access_token"),
        ("https://g.example:1/v1/refresh_access_token?a=b%20c", "https://g.example:1/v1/access_token?a=b%20c"),
        ("https://g.example/token", None),
        ("https://g.example/xrefresh_access_token", None),
        ("https://g.example/token?x=/refresh_access_token", None),
    ],
)
def test_tokens_are_exchanged_beside_where_they_are_refreshed(refresh: str, exchange: str | None) -> None:
    assert exchange_endpoint(refresh) == exchange


def test_the_request_shows_no_secret() -> None:
    profile = ClientProfile(
        client_id="me",
        client_secret=Secret("shh-secret"),
        authorization_endpoint="https://g.example/authorize",
        token_endpoint="https://g.example/token",
        exchange_endpoint="https://g.example/access_token",
        exchange=EXCHANGE,
        of_exchanges=RequestAuthentication(TokenEndpointAuthMethod.FIELDS),
    )
    request = build_exchange_request(profile, Secret("short-token"))
    assert (request.method, request.body, request.authorization) == ("GET", "query", None)
    assert dict(request.form) == {
        "grant_type": "ig_exchange_token",
        "client_secret": "shh-secret",
        "access_token": "short-token",
    }
    assert "shh-secret" not in repr(request)
    assert "short-token" not in repr(request)


def test_a_long_lived_token_keeps_what_only_came_with_the_short_lived_one() -> None:
    members = {"access_token": "s", "user_id": 1, "id_token": "i", "refresh_token_expires_at": 7}
    short = TokenResponse(Secret("s"), None, None, "a b", None, members)
    answer = TokenResponse(Secret("l"), None, 60, None, "bearer", {"access_token": "l", "expires_in": 60})
    found = long_lived(short, answer)
    assert (found.access_token, found.scope, found.expires_in, found.token_type) == (Secret("l"), "a b", 60, "bearer")
    assert found.members == {"access_token": "l", "user_id": 1, "expires_in": 60, "refresh_token_expires_at": 7}
    renewed = TokenResponse(Secret("l"), Secret("r"), 60, "c", "bearer", {"access_token": "l"})
    assert long_lived(short, renewed).scope == "c"
    assert long_lived(short, renewed).members == {"access_token": "l", "user_id": 1}
