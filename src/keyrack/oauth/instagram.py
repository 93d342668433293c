"""Long-lived tokens of Instagram: exchanged for a short-lived one, and refreshed without a refresh token.

Not OAuth: two GET requests of the Graph API, both with the token in the query. Their answers are token responses.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.oauth.token_response import TokenResponse, still_true
from keyrack.oauth.wire import QueryRequest

_REFRESH, _EXCHANGE = "/refresh_access_token", "/access_token"


def exchange_endpoint(refresh_endpoint: str) -> str | None:
    """Return where short-lived tokens are exchanged: beside `…/refresh_access_token`, as `…/access_token`.

    Args:
        refresh_endpoint: absolute URL; its query is kept.

    Returns:
        None if its path does not end so: where tokens are exchanged is not known then.
    """
    parts = urlsplit(refresh_endpoint)
    if not parts.path.endswith(_REFRESH):
        return None
    return parts._replace(path=parts.path.removesuffix(_REFRESH) + _EXCHANGE).geturl()


def build_exchange_request(endpoint: str, client_secret: Secret, token: Secret) -> QueryRequest:
    """Return the request that exchanges a short-lived token for a long-lived one; it may be repeated."""
    return QueryRequest(
        endpoint,
        (
            ("grant_type", "ig_exchange_token"),
            ("client_secret", client_secret.reveal()),
            ("access_token", token.reveal()),
        ),
    )


def long_lived(short: TokenResponse, answer: TokenResponse) -> TokenResponse:
    """Return a long-lived token with what only came with the short-lived one, such as `user_id` and the scope."""
    kept = still_true(short.members, refresh_token_kept=answer.refresh_token is None)
    return replace(answer, scope=answer.scope or short.scope, members={**kept, **answer.members})
