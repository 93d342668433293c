"""What the simulator starts with: clients, users and behaviour, from a TOML or JSON file or from code."""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError
from keyrack.simulator.behaviour import check_overrides
from keyrack.simulator.codec import convert

_PRINTABLE = re.compile(r"[!-~]+")
_VSCHARS = re.compile(r"[ -~]{1,512}")
_UNSAFE_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "about", "blob"})


class Client(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OAuth client registered at the simulator.

    Attributes:
        client_id: its name, printable ASCII (RFC 6749 appendix A.1).
        client_secret: its secret; empty for a public client (`token_endpoint_auth_method` `none`).
        further_secrets: secrets that are accepted beside it, as while one is exchanged.
        wrong_secret_error: what a wrong secret is answered with; some providers blame the grant.
        name: what the consent page calls it.
        redirect_uris: registered redirect URIs.
        redirect_match: `exact` takes registered URIs only, `loopback` also any http(s) URI on a loopback
            host, `any` any http(s) URI.
        token_endpoint_auth_method: the one way it may authenticate, or `any` of basic and post.
        pkce: `optional`, `required`, or `refused` (a request with a challenge is an error).
        scopes: scopes it may ask for; None allows all. Without a scope in the request it gets all of these.
        grant_types: what it may ask with at the token endpoint (RFC 7591 section 2); None allows all.
        jwks: the public keys, as JWKs, that its assertions are signed with (RFC 7523).
        behaviour: fields of `Behaviour` that differ for this client.
    """

    client_id: str
    client_secret: Secret = Secret("")
    further_secrets: tuple[Secret, ...] = ()
    wrong_secret_error: Literal["invalid_client", "invalid_grant"] = "invalid_client"  # noqa: S105 - an error code
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    redirect_match: Literal["exact", "loopback", "any"] = "exact"
    token_endpoint_auth_method: Literal["any", "client_secret_basic", "client_secret_post", "none"] = "any"  # noqa: S105 - a method, not a secret
    pkce: Literal["optional", "required", "refused"] = "optional"
    scopes: tuple[str, ...] | None = None
    grant_types: tuple[str, ...] | None = None
    jwks: tuple[dict[str, Any], ...] = ()
    behaviour: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _VSCHARS.fullmatch(self.client_id):
            raise ValueError("client_id must be 1 to 512 printable ASCII characters")
        if self.is_public == bool(self.client_secret) or (self.is_public and self.further_secrets):
            raise ValueError("a client has a client_secret, or token_endpoint_auth_method 'none', not both")
        for uri in self.redirect_uris:
            if not is_redirect_uri(uri):
                raise ValueError("a redirect URI must be absolute, in ASCII and without a fragment")
        if any("kty" not in key or "d" in key or "k" in key for key in self.jwks):
            raise ValueError("jwks are public keys (RFC 7517)")
        check_overrides(self.behaviour)

    @property
    def is_public(self) -> bool:
        """Tell whether it has no secret (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method == "none"  # noqa: S105 - a method, not a secret

    def takes_secret(self, secret: Secret | None) -> bool:
        """Tell whether a secret that was shown is one of its."""
        return secret is not None and secret in (self.client_secret, *self.further_secrets)

    def takes_redirect(self, uri: str) -> bool:
        """Tell whether the browser may be sent to an address for this client."""
        if uri in self.redirect_uris:
            return True
        parts = urlsplit(uri) if is_redirect_uri(uri) else None
        if self.redirect_match == "exact" or parts is None or parts.scheme not in {"http", "https"}:
            return False
        return self.redirect_match == "any" or is_loopback(parts.hostname or "")


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person who can sign in at the simulator; the login page prints the password."""

    login: str
    password: Secret
    name: str = ""
    email: str = ""


DEFAULT_CLIENT = Client(
    client_id="simulator-client",
    client_secret=Secret("simulator-secret"),
    name="The simulator's default client",
    redirect_match="loopback",
)
DEFAULT_USER = User(login="alice", password=Secret("wonderland"), name="Alice Liddell", email="alice@simulator.example")


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulator's start state, to which a reset returns.

    Attributes:
        clients: clients known from the start.
        users: who can sign in; the first is the one that automatic approval acts for.
        behaviour: fields of `Behaviour` that differ for all clients.
        issuer: issuer identifier (RFC 8414); None takes the address the simulator listens on.
        max_clients: number of clients beyond which no more can be created.
        max_tokens: number of tokens kept per kind; the oldest go first.
        access_log: write one log line per request (method, path and status; never the query).
    """

    clients: tuple[Client, ...] = (DEFAULT_CLIENT,)
    users: tuple[User, ...] = (DEFAULT_USER,)
    behaviour: dict[str, Any] = msgspec.field(default_factory=dict)
    issuer: str | None = None
    max_clients: int = 10_000
    max_tokens: int = 200_000
    access_log: bool = True

    def __post_init__(self) -> None:
        if not self.users:
            raise ValueError("at least one user is needed")
        if len({client.client_id for client in self.clients}) != len(self.clients):
            raise ValueError("two clients have the same client_id")
        if self.max_clients < len(self.clients) or self.max_tokens < 1:
            raise ValueError("max_clients and max_tokens must have room for what is configured")
        check_overrides(self.behaviour)


def load_config(path: Path) -> SimulatorConfig:
    """Read a configuration file: TOML if its name ends in `.toml`, else JSON.

    Raises:
        ConfigurationError: the file cannot be read or does not fit; the message names the place.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else msgspec.json.decode(text)
        return convert(raw, SimulatorConfig)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path}: {exc}") from exc


def automatic(config: SimulatorConfig) -> SimulatorConfig:
    """Return the same configuration with automatic approval as the default for all clients."""
    return msgspec.structs.replace(config, behaviour={**config.behaviour, "approval": "auto"})


def is_redirect_uri(uri: str) -> bool:
    """Tell whether a text can be a redirect URI at all: absolute, ASCII, no fragment (RFC 6749 3.1.2)."""
    if not _PRINTABLE.fullmatch(uri) or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        known = parts.scheme.lower() not in _UNSAFE_SCHEMES and bool(parts.scheme)
        return known and (bool(parts.hostname) or parts.scheme not in {"http", "https"})
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
