"""Users, service accounts, their API keys, and the principal a request is made as."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keyrack.crypto.secret import Secret


class PrincipalKind(StrEnum):
    """What kind of identity is calling (contract section 2)."""

    user = "user"
    service_account = "service_account"
    task_user = "task_user"
    system = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and from where.

    Attributes:
        kind: the kind of identity.
        id: its id.
        name: email or user name, as the audit log shows it.
        tenant_id: the home tenant of a user, the tenant of a task user's flow; None for a service account.
        permissions: the explicit, installation-wide permissions of a service account; empty for others.
        address: where the request came from, if it came over the network.
        request_id: the request it came with.
        contract_id: the contract of a task user's flow; None for others.
        workspace_id: the workspace of a task user's flow; None for others.
    """

    kind: PrincipalKind
    id: str
    name: str
    tenant_id: str | None = None
    permissions: frozenset[str] = frozenset()
    address: str | None = None
    request_id: str | None = None
    contract_id: str | None = None
    workspace_id: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person. The email is unique in the installation, without regard to case (contract section 2)."""

    id: str
    tenant_id: str
    email: str
    first_name: str
    last_name: str
    company: str | None
    registered: datetime
    last_login: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An installation-wide identity with an explicit list of permissions (contract section 2)."""

    id: str
    username: str
    permissions: frozenset[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A named API key of a user or service account; the key itself is only known to its holder."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A browser in which somebody is signed in to the console (decision 28); of what it holds only a hash is known.

    Attributes:
        id: its id.
        owner_id: the user or service account that is signed in.
        address: from where it was used last.
        browser: what the browser said of itself at sign-in.
        created_at: since when.
        seen_at: when it was used last, to within a minute.
    """

    id: str
    owner_id: str
    address: str | None
    browser: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Authenticator:
    """An app that shows one-time codes (RFC 6238), of one user or service account (decision 29).

    Attributes:
        id: its id.
        secret: what app and server share, in base32 (RFC 4648).
        session_id: the session of the console in which it was begun.
        created_at: when it was begun.
        confirmed_at: since when signing in asks for a code; None: not yet.
        last_step: the newest time step of which a code was taken.
        wrong_codes: how many were wrong since the last right one.
        retry_at: before this no further code is looked at; None: there is nothing to wait for.
        recovery_hashes: of the recovery codes that are left.
    """

    id: str
    secret: Secret
    session_id: str
    created_at: datetime
    confirmed_at: datetime | None
    last_step: int
    wrong_codes: int
    retry_at: datetime | None
    recovery_hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in to the console whose password was right and that waits for a code.

    Attributes:
        id: its id.
        password_set_at: since when the password is good that was right.
        created_at: when it was.
    """

    id: str
    password_set_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SetupLink:
    """A one-time link with which somebody gets a first API key (decision 24); of the link only a hash is known.

    Attributes:
        id: its id.
        tenant_id: the tenant of the account.
        user_id: whose account it sets up; None for an invite's.
        invite_id: the invite that it accepts, with an account that is made for it; None for a user's.
        maker: who made it, as a kind of identity, an id and a name.
        shown: whether the maker was shown the link, and so could use it.
        created_at: since when it is good.
        expires_at: until when.
    """

    id: str
    tenant_id: str
    user_id: str | None
    invite_id: str | None
    maker: tuple[PrincipalKind, str, str]
    shown: bool
    created_at: datetime
    expires_at: datetime
