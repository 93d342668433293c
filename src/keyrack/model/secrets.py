"""Auth secrets and the state of their refreshing (contract section 15)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.crypto.secret import Secret
from keyrack.model import Json


class SecretState(StrEnum):
    """Whether an auth secret can be used (contract 15.4)."""

    ready = "ready"
    error = "error"


class ErrorCode(StrEnum):
    """Why an auth secret is in `error`: its first cause (contract 0.13)."""

    refresh_interrupted = "refresh_interrupted"
    reauthorization_required = "reauthorization_required"
    client_rejected = "client_rejected"
    provider_refused = "provider_refused"
    provider_unavailable = "provider_unavailable"
    unsupported_token_type = "unsupported_token_type"  # noqa: S105 - the name of a cause
    token_expired = "token_expired"  # noqa: S105 - the name of a cause
    unreadable = "unreadable"
    awaiting_cutover = "awaiting_cutover"


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failed refresh of a secret, without anything secret (design, failure classes)."""

    kind: str
    """A `keyrack.oauth.failure_classes.FailureClass`."""
    text: str
    """For a person."""
    error: str | None = None
    """The provider's `error` (RFC 6749 section 5.2)."""
    error_description: str | None = None
    status: int | None = None
    """HTTP status, when there was an answer."""
    reason: str | None = None
    """A `keyrack.provider.faults.Reason`, when there was none."""
    retry_after: int | None = None
    """Seconds the provider asked us to wait."""
    refusals: int = 0
    """How many answers since the last success were refusals whose meaning is not known (contract 0.24)."""
    refused_since: datetime | None = None
    """When the first of these came."""


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """Whose account at the provider a grant is for, as the provider says (decision 33); no more than a hint to people.

    Attributes:
        label: what people know it by, such as an email or a team's name; in one line, fit to be shown.
        subject: what the provider knows it by, such as `sub` of OpenID Connect.
    """

    label: str | None = None
    subject: str | None = None


NO_ACCOUNT = ProviderAccount()
"""The provider has not said."""


@dataclass(frozen=True, slots=True)
class AuthSecret:
    """The user side of a connection: tokens or keys of one user, and how refreshing them goes (contract section 15).

    What the caller is told of state and error is worked out by `keyrack.service.secrets.status`, not read from here.
    """

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    auth_client_id: str
    name: str
    type: str
    credentials: Json = field(repr=False)
    """Contract 15.1; secret."""
    auth_method: str | None
    """Client authentication in force at consent (RFC 7591 name); None: the default (contract 20.3)."""
    refreshable: bool
    """It is of an oauth2 type, and has a refresh token or a grant that needs no person."""
    state: SecretState
    error: str | None
    error_code: ErrorCode | None
    error_at: datetime | None
    issued_at: datetime | None
    expires_at: datetime | None
    generation: int
    """Grows with every change of the tokens or their lifetime, whoever makes it."""
    due_at: datetime | None
    """When the background refreshes next; None: never."""
    retry_at: datetime | None
    """After a failure: before this, reading causes no further try."""
    refreshed_at: datetime | None
    ambiguous_since: datetime | None
    failure: Failure | None
    failure_count: int
    """Failures since the last success, whoever caused the tries."""
    failed_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    updated_at: datetime
    requested_scopes: tuple[str, ...] = ()
    """What the consent behind it asked for; empty when nothing was asked for through us (contract 0.23)."""
    missing_scopes: tuple[str, ...] = ()
    """Those of them that the provider did not grant; empty when it said nothing (contract 0.23)."""
    grant_generation: int = 0
    """Grows with every answer to a refresh, and whenever something else replaces the refresh token. The answer to a
    request counts as long as this is what it was when the request was sent."""
    stated_lifetime: int | None = None
    """Seconds; what was last said of tokens of this grant, by its provider or by whoever brought them."""
    lifetime_guessed: bool = False
    """Nobody said when the access token expires (contract 0.14)."""
    backoff_count: int = 0
    """Failures of the background's own tries since the last success: what its back-off grows with."""
    answered_ms: int | None = None
    """When the last request for tokens came to its end, well or not; milliseconds of the lease clock."""
    connected_at: datetime | None = None
    """When a consent brought tokens last."""
    account: ProviderAccount = NO_ACCOUNT
    userinfo_uri: str | None = None
    """Where the provider was asked whose account it is, when it was connected; the token may be tried there."""
    redirect_uri: str | None = None
    """That of the consent behind it, for providers that want it repeated when a token is refreshed."""
    dpop_key: Secret | None = None
    """The key that its tokens are bound to, a private JWK, where its client's profile wants that (RFC 9449)."""
    refresh_token_expires_at: datetime | None = None
    """When the refresh token ends unless a refresh comes before, as far as its provider or its profile says."""
    grant_expires_at: datetime | None = None
    """When a new consent is needed in any case, as far as that is known."""
    cutover_batch_id: str | None = None
    """While set, the import that brought it has not been cut over: nothing is asked of its provider here, since the
    system that it came from still renews it (decision 52)."""
    left_out: int = 0
    """Bytes of the credentials, if a list has left them out for now; they are then empty."""

    @property
    def may_be_renewed(self) -> bool:
        """Whether its provider may be asked for new tokens: it can be, and it does not await its cutover."""
        return self.refreshable and self.cutover_batch_id is None

    @property
    def next_refresh_at(self) -> datetime | None:
        """When the background refreshes it next; None: never, or not before its cutover."""
        return self.due_at if self.may_be_renewed else None


@dataclass(frozen=True, slots=True)
class SecretFilter:
    """What a list of secrets is narrowed to; None narrows nothing."""

    user_id: str | None = None
    auth_client_id: str | None = None
    state: SecretState | None = None
    """As a caller is told it now, not as it is stored."""
    expires_before: datetime | None = None
    """Secrets whose tokens never expire are left out."""
    scopes_missing: bool = False
    """Only those whose provider did not grant everything that was asked for."""
    component_id: str | None = None
    """Those of auth clients that are linked to a component."""
    named: str = ""
    """Those whose name begins so, without regard to case."""
