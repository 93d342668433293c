"""Running and finished authorizations (contract section 20)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.crypto.secret import Secret
from keyrack.model import Json


class ConsentStatus(StrEnum):
    """How far a running authorization has come (contract section 20)."""

    pending = "pending"
    exchanging = "exchanging"
    completed = "completed"
    failed = "failed"


class ConnectLinkStatus(StrEnum):
    """How far a connect link has come (decision 26)."""

    pending = "pending"
    """Nobody has gone on from its page."""
    opened = "opened"
    """Somebody has, and is at the provider, or may go there again."""
    connected = "connected"
    denied = "denied"
    """The person, or the provider's policy, said no (RFC 6749 section 4.1.2.1, `access_denied`)."""
    failed = "failed"
    expired = "expired"
    """Only shown: it is too late, and it was not used."""


OPEN_LINKS = (ConnectLinkStatus.pending, ConnectLinkStatus.opened)
"""Those that can still be used, if it is not too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentIntroduction:
    """What a bound consent tells the person who opens its link, as it was when it started (contract 0.23).

    Attributes:
        starter: name and email of the user who started the consent.
        tenant: the tenant's name.
        workspace: the workspace's name.
        what: the component's name, else the auth client's.
        host: the authorization server's host, in ASCII.
        scopes: what is asked for; none: whatever the server gives.
    """

    starter: str
    tenant: str
    workspace: str
    what: str
    host: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCodes:
    """The codes of a consent that a person finishes on any device (RFC 8628 section 3.2).

    Attributes:
        device_code: with which Keyrack asks for the tokens.
        user_code: what the person enters.
        verification_uri: where.
        verification_uri_complete: the same with the code in it, if there is one.
        interval: seconds between two polls, as the server wanted it at first.
    """

    device_code: Secret
    user_code: str = field(repr=False)
    verification_uri: str
    verification_uri_complete: str | None = field(repr=False)
    interval: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedParameters:
    """The parameters of an authorization request that is pushed (RFC 9126).

    Attributes:
        endpoint: where they are pushed.
        parameters: what is pushed, beside what authenticates the client.
        expires_at: until when the `request_uri` in the consent's address counts.
    """

    endpoint: str
    parameters: dict[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationContext:
    """What a consent's callback needs to know of how the authorization was started; encrypted at rest.

    Once the consent is over, only `redirect_uri` and `return_url` are left, and that it was a device's; of an abandoned
    one nothing: everything else then has its default.

    Attributes:
        protocol: the protocol's name: `oauth2` or `oauth1`, as in the callback's path, or `device`, which has none.
        redirect_uri: our own address, where the provider sends the browser back to; of a device it only tells our host.
        return_url: where the browser goes on at the end, if anywhere.
        verifier: the code verifier of PKCE (RFC 7636), if a challenge was sent.
        client_id: the client at the provider; another one at the callback ends the consent.
        token_endpoint: where the code is exchanged; as `client_id`.
        issuer: the authorization server's issuer identifier, if known (RFC 9207).
        sends_iss: whether that server sends `iss`, if the client says so.
        nonce: what the ID token must carry, if one was asked for.
        name: what the credential or secret will be called.
        scope: what was asked for; empty for nothing.
        additional_params: further parameters of the authorization request that the user gave.
        fields: checked values of the component's fields.
        auth_method: client authentication at the token endpoint, where a component declared it (contract 20.3).
        long_lived: whether the first token is to be exchanged for a long-lived one (contract section 14).
        authorization_url: the provider's address where the browser begins; None as long as OAuth 1.0a's temporary
            credentials are not there.
        temporary: OAuth 1.0a's temporary credentials: the token and its secret (RFC 5849 section 2.1).
        introduction: what the page of a bound consent says.
        link: the address of that page.
        connect_link_id: the connect link that it was begun with; kept once the consent is over.
        userinfo_uri: where the provider tells whose account it is, if it was configured (decision 33).
        account_label_paths: where that stands in what the provider sends.
        account_subject_paths: the same for what the provider knows the account by.
        code_parameter: name of the callback's parameter that carries the code; None: `code`.
        state_parameter: name of the one that carries the state; None: `state`. Kept once the consent is over.
        learns: names of those that are kept with the connection, by the provider's profile.
        learned: what the callback had in them.
        dpop_key: the key that the tokens will be bound to, if they will (RFC 9449): a private JWK.
        device: the codes of a device.
        pushed: what was pushed, where the authorization request is.
    """

    protocol: str = "oauth2"
    redirect_uri: str = ""
    return_url: str | None = None
    verifier: Secret | None = None
    client_id: str = ""
    token_endpoint: str = ""
    issuer: str | None = None
    sends_iss: bool | None = None
    nonce: str | None = field(default=None, repr=False)
    name: str = ""
    scope: str = ""
    additional_params: dict[str, str] = field(default_factory=dict)
    fields: Json = field(default_factory=dict, repr=False)
    auth_method: str | None = None
    long_lived: bool = False
    authorization_url: str | None = field(default=None, repr=False)
    temporary: tuple[Secret, Secret] | None = None
    introduction: ConsentIntroduction | None = None
    link: str | None = field(default=None, repr=False)
    connect_link_id: str | None = None
    userinfo_uri: str | None = field(default=None, repr=False)
    account_label_paths: tuple[str, ...] | None = None
    account_subject_paths: tuple[str, ...] | None = None
    code_parameter: str | None = None
    state_parameter: str | None = None
    learns: tuple[str, ...] | None = None
    learned: dict[str, str] | None = field(default=None, repr=False)
    dpop_key: Secret | None = None
    device: DeviceCodes | None = None
    pushed: PushedParameters | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A running authorization (contract section 20).

    It names a component (first generation) or an auth client, then optionally also a component (second generation).
    """

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    component_id: str | None
    credential_id: str | None
    status: ConsentStatus
    error: str | None
    result_id: str | None
    created_at: datetime
    expires_at: datetime
    context: AuthorizationContext = field(repr=False)
    auth_client_id: str | None = None
    auth_secret_id: str | None = None
    bound: bool = False
    """Whether only a browser that was on our own page before may finish it (contract 0.23)."""
    browser_hash: str | None = None
    """The browser that is bound, or that came back first."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectLink:
    """A link with which a person without an account connects one for a workspace, once (decision 26).

    Attributes:
        id: its own.
        tenant_id: of the workspace.
        workspace_id: where the account is connected.
        user_id: the maker, who then owns what was made.
        status: as it is stored: never `expired`.
        wanted: what the maker asked for, as a consent is started with.
        opener_origin: the web origin of the page that is told the outcome, if it opens the link in a popup.
        consent_id: the consent that counts, once somebody went on from the page.
        consent_expires_at: until when that can be finished.
        browser_hash: the browser that went on from the page, and the only one that can from then on.
        error: why nothing was connected.
        result_id: the credential or secret.
        created_at: when it was made.
        expires_at: until when somebody can go on from its page.
        ended_at: when it was used up.
    """

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    wanted: Json = field(repr=False)
    created_at: datetime
    expires_at: datetime
    status: ConnectLinkStatus = ConnectLinkStatus.pending
    opener_origin: str | None = None
    consent_id: str | None = None
    consent_expires_at: datetime | None = None
    browser_hash: str | None = None
    error: str | None = None
    result_id: str | None = None
    ended_at: datetime | None = None

    def status_at(self, now: datetime) -> ConnectLinkStatus:
        """Return how far it has come, in the eyes of who asks."""
        last = max(self.expires_at, self.consent_expires_at or self.expires_at)
        return ConnectLinkStatus.expired if self.status in OPEN_LINKS and last <= now else self.status
