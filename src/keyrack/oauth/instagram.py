"""Instagram for auth clients of the type `oauth2_instagram`, which need no profile (contract section 14).

Long-lived tokens are not OAuth: a GET request of the Graph API, with token and secret in the query.
"""

from urllib.parse import urlsplit

from keyrack.oauth.profiles.kinds import AuthMethod
from keyrack.oauth.profiles.request_parts import ClientAuthentication, TokenRequest

_REFRESH, _EXCHANGE = "/refresh_access_token", "/access_token"
EXCHANGE = TokenRequest(
    method="GET",
    parameters={
        "grant_type": "ig_exchange_token",
        "client_secret": "{client_secret}",
        "access_token": "{access_token}",
    },
    client_authentication=ClientAuthentication(method=AuthMethod.FIELDS),
)
"""The request that exchanges a short-lived token for a long-lived one."""


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
