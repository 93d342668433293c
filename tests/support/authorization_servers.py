"""Authorization servers of others, `oidc-provider` and Django OAuth Toolkit, and what their clients do there."""

import json
import secrets
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
import pytest

from support.node import executable
from support.parts import require_part, why_not_installed
from support.process import ServerProcess

DEFAULT_REDIRECT_URI = "http://127.0.0.1:9/callback"


@dataclass(frozen=True)
class RegisteredClient:
    """What both sides know of an OAuth client; the members are named as in RFC 7591, section 2."""

    client_id: str = "client"
    client_secret: str = "a-test-secret-of-some-length"
    redirect_uris: tuple[str, ...] = (DEFAULT_REDIRECT_URI,)
    token_endpoint_auth_method: str = "client_secret_basic"
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further members."""

    def metadata(self) -> dict[str, object]:
        without = self.token_endpoint_auth_method in {"none", "private_key_jwt"} or "tls" in (
            self.token_endpoint_auth_method
        )
        secret = {} if without else {"client_secret": self.client_secret}
        return {
            "client_id": self.client_id,
            **secret,
            "redirect_uris": list(self.redirect_uris),
            "token_endpoint_auth_method": self.token_endpoint_auth_method,
            **self.more,
        }


OIDC_SCRIPT = Path(__file__).parents[1] / "servers" / "oidc-provider" / "server.mjs"
OIDC_MODULES = Path(sys.prefix) / "servers" / "oidc-provider"


@dataclass(frozen=True)
class OidcOptions:
    """How a server behaves.

    It gives a refresh token only for the scope `offline_access` requested with `prompt=consent`.

    Attributes:
        clients: the registered clients; a test's redirect address goes in here.
        approval: "forms" shows login and consent pages, "automatic" signs in and consents at once, "deny" refuses.
        rotate: every refresh gives a new refresh token and ends the old one.
        access_token_ttl: seconds.
        code_ttl: seconds in which an authorization code must be exchanged.
        pkce_required: refuse an authorization request without a code challenge.
        require_pushed: refuse an authorization request that was not pushed (RFC 9126).
        dpop_nonce: a proof of possession must repeat a nonce of the server's.
        tls: `cert` and `key` of the server in PEM, and `ca`, whose clients' certificates count; None: no TLS.
        accounts: claims of who signs in, by `login_hint` ("person" without one) or by the login in the form.
        registration: clients may register and manage themselves, with this initial access token; empty: they may not.
        client_documents: documents that clients are named by, by their address; the server does not fetch these.
        resource_scope: scopes of the protected resources that tokens can be asked for (RFC 8707); empty: for none.
    """

    clients: tuple[RegisteredClient, ...] = (RegisteredClient(),)
    approval: Literal["forms", "automatic", "deny"] = "automatic"
    rotate: bool = True
    access_token_ttl: int = 3600
    code_ttl: int = 60
    pkce_required: bool = True
    require_pushed: bool = False
    dpop_nonce: bool = False
    tls: Mapping[str, str] | None = None
    accounts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    registration: str = ""
    client_documents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    resource_scope: str = ""


@dataclass(frozen=True)
class OidcProvider:
    """A running server.

    Attributes:
        issuer: its address and `iss`, without a slash at the end.
        client: the first registered client.
        started_in: seconds from starting Node.js to its ready line.
    """

    process: ServerProcess
    issuer: str
    client: RegisteredClient
    started_in: float

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.issuer}/auth"

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/token"

    @property
    def userinfo_endpoint(self) -> str:
        return f"{self.issuer}/me"


def start_oidc(options: OidcOptions) -> OidcProvider:
    """Start a server; the caller stops its process. Skips the test where Node.js or the package cannot be had."""
    node = executable()
    if not (OIDC_MODULES / "node_modules" / "oidc-provider").is_dir():
        require_part("oidc-provider", why_not_installed("node"))
    wanted = asdict(options) | {"clients": [client.metadata() for client in options.clients]}
    process = ServerProcess([node, OIDC_SCRIPT, OIDC_MODULES, json.dumps(wanted)])
    issuer = f"{'https' if options.tls else 'http'}://127.0.0.1:{process.ready['port']}"
    return OidcProvider(process, issuer, options.clients[0], process.started_in)


@pytest.fixture
def start_oidc_provider() -> Iterator[Callable[[OidcOptions], OidcProvider]]:
    """Starts servers with a test's own options, and ends them after it."""
    with ExitStack() as running:

        def begin(options: OidcOptions) -> OidcProvider:
            provider = start_oidc(options)
            running.callback(provider.process.stop)
            return provider

        yield begin


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """One server with the default options for all tests."""
    provider = start_oidc(OidcOptions())
    yield provider
    provider.process.stop()


DJANGO_SCRIPT = Path(__file__).parents[1] / "servers" / "dot" / "server.py"


@dataclass(frozen=True)
class DjangoOAuthOptions:
    """How a server behaves. Its scopes are `read` and `write`; refresh tokens come without asking.

    Attributes:
        clients: the registered clients; both ways of sending a client secret are accepted.
        approval: "automatic" approves at once, "forms" shows a consent page; nobody needs to sign in.
        rotate: every refresh gives a new refresh token and ends the old one.
        access_token_ttl: seconds.
        pkce_required: refuse an authorization request without a code challenge.
        password: of the user `person`, for clients whose `authorization_grant_type` is `password`.
    """

    clients: tuple[RegisteredClient, ...] = (RegisteredClient(),)
    approval: Literal["automatic", "forms"] = "automatic"
    rotate: bool = True
    access_token_ttl: int = 3600
    pkce_required: bool = True
    password: str | None = None


@dataclass(frozen=True)
class DjangoOAuth:
    """A running server.

    Attributes:
        address: its address, without a slash at the end.
        client: the first registered client.
        started_in: seconds from starting Python to the ready line, migrations included.
    """

    process: ServerProcess
    address: str
    client: RegisteredClient
    started_in: float

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.address}/o/authorize/"

    @property
    def token_endpoint(self) -> str:
        return f"{self.address}/o/token/"

    @property
    def resource(self) -> str:
        """A protected resource that says whose access token it was sent, for the scope `read`."""
        return f"{self.address}/me"


def start(options: DjangoOAuthOptions, directory: Path) -> DjangoOAuth:
    """Start a server with its database in `directory`; the caller stops its process."""
    wanted = asdict(options) | {"clients": [client.metadata() for client in options.clients]}
    process = ServerProcess([sys.executable, DJANGO_SCRIPT, json.dumps(wanted), directory])
    return DjangoOAuth(process, f"http://127.0.0.1:{process.ready['port']}", options.clients[0], process.started_in)


@pytest.fixture
def start_django_oauth() -> Iterator[Callable[[DjangoOAuthOptions], DjangoOAuth]]:
    """Starts servers with a test's own options, and ends them after it."""
    with ExitStack() as running:

        def begin(options: DjangoOAuthOptions) -> DjangoOAuth:
            directory = running.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-dot-"))
            server = start(options, Path(directory))
            running.callback(server.process.stop)
            return server

        yield begin


@pytest.fixture(scope="session")
def django_oauth() -> Iterator[DjangoOAuth]:
    """One server with the default options for all tests."""
    with tempfile.TemporaryDirectory(prefix="keyrack-dot-") as directory:
        server = start(DjangoOAuthOptions(), Path(directory))
        yield server
        server.process.stop()


async def consent(authorization_endpoint: str, client: RegisteredClient, **extra: str) -> tuple[dict[str, str], str]:
    """Follow an authorization that asks nothing; return the callback's parameters and the PKCE code verifier."""
    verifier = secrets.token_urlsafe(32)
    callback = client.redirect_uris[0]
    request = {
        "client_id": client.client_id,
        "response_type": "code",
        "redirect_uri": callback,
        "state": "some-state",
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **extra,
    }
    async with httpx2.AsyncClient() as browser:
        response = await browser.get(authorization_endpoint, params=request)
        for _ in range(10):
            location = urljoin(str(response.url), response.headers["location"])
            if location.startswith(callback):
                return dict(parse_qsl(urlsplit(location).query)), verifier
            response = await browser.get(location)
    raise AssertionError("the authorization never came back")


async def token_request(token_endpoint: str, client: RegisteredClient, **form: str) -> tuple[int, dict[str, Any]]:
    """Send a token request with HTTP Basic client authentication; return the status and the decoded body."""
    async with httpx2.AsyncClient(auth=(client.client_id, client.client_secret)) as sender:
        response = await sender.post(token_endpoint, data=form)
    return response.status_code, response.json()


async def exchange(token_endpoint: str, client: RegisteredClient, code: str, verifier: str) -> dict[str, Any]:
    """Exchange an authorization code; return the token response."""
    form = {"code": code, "redirect_uri": client.redirect_uris[0], "code_verifier": verifier}
    status, tokens = await token_request(token_endpoint, client, grant_type="authorization_code", **form)
    assert status == 200, tokens
    return tokens


async def fetch(address: str, access_token: str) -> httpx2.Response:
    """Get a protected resource with a bearer token."""
    async with httpx2.AsyncClient() as sender:
        return await sender.get(address, headers={"authorization": f"Bearer {access_token}"})
