"""Parameters and results of a consent, for both generations (contract section 20)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from keyrack.errors import BadRequest
from keyrack.model import Json
from keyrack.model.consents import Consent
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.authz.access import Scope
from keyrack.service.consents.browser import BrowserCookie
from keyrack.service.consents.provider_accounts import Identified
from keyrack.store.core.unit import Unit

TARGET = "oauth-consent"
"""What the audit log calls a consent."""


class UnknownState(BadRequest):
    """It was used before, has expired, or was never ours. If nothing is connected yet, start connecting again."""


class ConsentExpired(BadRequest):
    """It took too long to come back from the provider, so nothing was connected. Start connecting again."""


class OtherBrowser(BadRequest):
    """This connection was begun in another browser, and only that one can finish it. Nothing was connected.

    Open the link that you were given in this browser and go on from there. If somebody sent you an address of the
    provider instead, do not use it.
    """


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What a caller sends to start a consent (contract 20.2).

    It names a component (first generation), or an auth client and perhaps a component (second generation, 0.11).
    """

    component_id: str | None = None
    credential_id: str | None = None
    auth_client_id: str | None = None
    auth_secret_id: str | None = None
    name: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scopes: str | None = None
    additional_params: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None
    bound: bool = False
    """Whether the browser is to be bound first (contract 0.23)."""
    challenge_scopes: Sequence[str] = ()
    """What a protected resource said is needed beside (RFC 6750 section 3.1)."""
    include_granted_scopes: bool = False
    """Whether what the secret asked for before is asked for again, beside what is named now."""
    connect_link_id: str | None = None
    """The connect link that it is begun with (decision 26)."""

    @property
    def again(self) -> bool:
        """Whether an account is connected again."""
        return self.credential_id is not None or self.auth_secret_id is not None


@dataclass(frozen=True, slots=True)
class PlannedConsent:
    """What the authorization request is made of.

    Attributes:
        profile: client and provider.
        scope: one text; empty for none.
        extra: further parameters of the request, the component's own; the user's come on top.
        name: what the result is called unless the user says otherwise.
        fields: checked values of the credential fields.
        auth_method: client authentication that a component declared, if it did (contract 20.3).
        long_lived: whether the first token is to be exchanged for a long-lived one (contract section 14).
        own_issuer: the issuer that the client's maker has named, if any, whose word on endpoints counts.
        issuer_name: the name of the issuer in the client's redirect URI; empty: it has the documented one.
    """

    profile: ClientProfile
    scope: str
    extra: Mapping[str, str]
    name: str
    fields: Json = field(repr=False)
    auth_method: str | None = None
    long_lived: bool = False
    own_issuer: str | None = None
    issuer_name: str = ""


class ConsentDestination(Protocol):
    """Where a consent's tokens go, judged anew."""

    @property
    def profile(self) -> ClientProfile:
        """Client and provider as they are now."""

    async def store(self, scope: Scope, tokens: TokenResponse, at: datetime, whose: Identified) -> str:
        """Store the tokens, which were issued `at`, and whose they are; return the id of the credential or secret."""


class ConsentHandler(Protocol):
    """One generation of what a consent makes."""

    permissions: tuple[str, str]
    """To connect for the first time, and again."""
    resource: str
    """What the result is called in the audit log and in relationships."""
    parameter: str
    """Under which name its id is given to the return URL."""

    async def plan(self, scope: Scope, wanted: NewConsent) -> PlannedConsent:
        """Judge what a consent needs, at its start."""

    async def revalidate(self, scope: Scope, consent: Consent) -> ConsentDestination:
        """Judge it again: it may have changed since the start (contract 0.17)."""

    async def discard(
        self,
        unit: Unit,
        consent: Consent,
        destination: ConsentDestination | None,
        read: Callable[[ClientProfile], TokenResponse],
    ) -> None:
        """See to tokens that came, but are stored nowhere.

        Args:
            unit: of the tenant, which may be gone.
            consent: what they came for.
            destination: where they were meant to go when they were asked for, if that is still known.
            read: returns them; raises `ProviderError` or `ProviderUnavailable` if there are none after all.
        """


@dataclass(frozen=True, slots=True)
class ConsentHandlers:
    """Both generations."""

    credentials: ConsentHandler
    secrets: ConsentHandler

    @property
    def permissions(self) -> tuple[str, ...]:
        """Those of both: with any of them somebody may connect something."""
        return (*self.credentials.permissions, *self.secrets.permissions)

    def of(self, auth_client_id: str | None) -> ConsentHandler:
        """Return what a consent makes: a secret if it names an auth client, else a credential."""
        return self.credentials if auth_client_id is None else self.secrets


@dataclass(frozen=True, slots=True)
class ConnectReport:
    """What the page is told that opened a connect link in a popup (decision 26): ids and facts, never a secret.

    Attributes:
        origin: the only web origin that is told.
        facts: what it is told.
    """

    origin: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConsentOutcome:
    """How a callback ended.

    Attributes:
        error: why it failed, for the person in front of the browser; None on success.
        said: what the provider said about it: `error`, `error_description`, `error_uri`, each if sent.
        return_url: where the browser goes on, if the one who started the consent said so.
        under_way: it has not ended yet: another delivery of the callback is being dealt with.
        cookie: by which the browser is known again, if it is to be set.
        report: what the page is told that opened a connect link in a popup, if there may be one.
    """

    error: str | None
    said: Mapping[str, str] = field(default_factory=dict)
    return_url: str | None = None
    under_way: bool = False
    cookie: BrowserCookie | None = None
    report: ConnectReport | None = None
