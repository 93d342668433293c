import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.instagram import build_exchange_request, exchange_endpoint


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
    request = build_exchange_request("https://g.example/access_token", Secret("shh-secret"), Secret("short-token"))
    assert dict(request.query) == {
        "grant_type": "ig_exchange_token",
        "client_secret": "shh-secret",
        "access_token": "short-token",
    }
    assert "shh-secret" not in repr(request)
    assert "short-token" not in repr(request)
