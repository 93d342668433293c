"""The Python client: reads secrets and what is around them, and keeps a token in the requests of httpx clients.

It imports the standard library, httpx2 and the value that cannot print itself, and nothing of the server; so does
`pip install --no-deps keyrack` beside httpx2. The page is docs/python-client.md.
"""

try:
    import httpx2 as _httpx2  # noqa: F401 - the one thing it needs
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("keyrack.client needs httpx2: pip install 'keyrack[client]'") from missing

from keyrack.client.asynchronous import AsyncKeyrack
from keyrack.client.auth import KeyrackAuth
from keyrack.client.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KeyrackClientError,
    Misconfigured,
    NotFound,
    NotRefreshable,
    Problem,
    ProviderFault,
    RateLimited,
    Refused,
    ServerFault,
    TokenNotValid,
    Unauthorized,
    Unexpected,
    Unreachable,
)
from keyrack.client.results import (
    AuthClient,
    AuthSecret,
    Component,
    Contract,
    Credential,
    Flow,
    OAuthClient,
    User,
    Workspace,
)
from keyrack.client.synchronous import Keyrack
from keyrack.crypto.secret import Secret

__all__ = [
    "AsyncKeyrack",
    "AuthClient",
    "AuthSecret",
    "Component",
    "Conflict",
    "Contract",
    "Credential",
    "Flow",
    "Forbidden",
    "Invalid",
    "Keyrack",
    "KeyrackAuth",
    "KeyrackClientError",
    "Misconfigured",
    "NotFound",
    "NotRefreshable",
    "OAuthClient",
    "Problem",
    "ProviderFault",
    "RateLimited",
    "Refused",
    "Secret",
    "ServerFault",
    "TokenNotValid",
    "Unauthorized",
    "Unexpected",
    "Unreachable",
    "User",
    "Workspace",
]
