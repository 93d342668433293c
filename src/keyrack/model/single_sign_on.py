"""Single sign-on of a tenant: how it is set up, whose account is whose, and a sign-in under way (decision 31)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keyrack.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """How the people of a tenant sign in through their organisation's OpenID provider.

    Attributes:
        id: its id.
        tenant_id: the tenant.
        issuer: the provider's issuer identifier.
        client_id: of our client there.
        client_auth: how that authenticates at the token endpoint; `none` for a public client.
        client_secret: empty for a public client.
        domains: of emails that may be matched with accounts; none: any. Each is one tenant's alone.
        creates_users: whether somebody of these domains without an account gets one, without roles.
        allows_passwords: whether the tenant's users may also sign in with a password.
        created_at: since when there is single sign-on.
        updated_at: when it was changed last.
    """

    id: str
    tenant_id: str
    issuer: str
    client_id: str
    client_auth: str
    client_secret: Secret
    domains: Sequence[str]
    creates_users: bool
    allows_passwords: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """A user's account, and the person at the tenant's provider to whom it belongs.

    Attributes:
        user_id: the user.
        user_email: the user's email here.
        subject: the provider's name for the person (`sub`), which never changes.
        email: what the provider said when the two were linked; None for a person who was linked without one.
        linked_at: since when.
    """

    user_id: str
    user_email: str
    subject: str
    email: str | None
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class AuthenticationContext:
    """What the answer to an authentication request is held against; sealed.

    Attributes:
        issuer: who was asked.
        client_id: for which client.
        redirect_uri: where the answer was to be sent.
        verifier: of PKCE.
        nonce: of the ID token.
        next: the page of ours to go to afterwards.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    verifier: Secret
    nonce: str
    next: str


@dataclass(frozen=True, slots=True)
class AuthenticationRequest:
    """A sign-in, or a test of one, that was begun at a tenant's provider (OpenID Connect Core 1.0 section 3.1.2.1).

    Attributes:
        id: its id.
        tester_id: the user who tests the settings; None: somebody signs in.
        browser_hash: of the browser's cookie: only this browser can finish it.
        context: what the answer is held against.
        created_at: when it was begun.
        expires_at: until when it can be finished.
        used_at: when an answer came; there is only one.
        result: of a test, once it is finished.
    """

    id: str
    tester_id: str | None
    browser_hash: str
    context: AuthenticationContext
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    result: "TestResult | None" = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """What came of a test; nobody was signed in.

    Attributes:
        works: whether the person would have been signed in.
        told: what would have happened, or why not.
        said: `error`, `error_description` and `error_uri`, as far as the provider said something.
        claims: what the provider said of the person, by the claim's name.
    """

    works: bool
    told: str
    said: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
