"""Browser sessions, and authorization requests that were found good and wait for their user."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyrack.simulator.behaviour import Behaviour, Overrides
from keyrack.simulator.device_book import DeviceCode
from keyrack.simulator.oauth1_book import TemporaryToken


@dataclass(slots=True, eq=False)
class Session:
    """A browser's session; `login` is None before it signed in."""

    login: str | None = None
    csrf_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


@dataclass(slots=True)
class Pending:
    """One authorization request (RFC 6749 section 4.1.1).

    Attributes:
        client_id: who asks.
        redirect_uri: where the answer goes.
        redirect_uri_sent: whether the request named it, so that the token request must too.
        state: the client's `state`, empty if none.
        scope: scope values asked for, separated by blanks.
        challenge: the PKCE challenge (S256), empty if none.
        prompt: values of `prompt`.
        login_hint: login name the client expects, empty if none.
        parameters: all parameters of the request.
        behaviour: how the callback is built.
        travelling: behaviour from the authorization URL that stays with the grant.
        session: the browser session that may answer; set when a page is shown.
        temporary: the temporary credentials to be authorized; None for OAuth 2.0.
        device: what a person has entered the code of; None for a request that came with the browser.
    """

    client_id: str
    redirect_uri: str
    redirect_uri_sent: bool
    state: str
    scope: str
    challenge: str
    prompt: frozenset[str]
    login_hint: str
    parameters: Mapping[str, str] = field(repr=False)
    behaviour: Behaviour
    travelling: Overrides
    session: Session | None = field(default=None, repr=False)
    temporary: TemporaryToken | None = field(default=None, repr=False)
    device: DeviceCode | None = field(default=None, repr=False)
