"""Users, service accounts, their API keys, and the principal a request is made as."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    """A browser in which a user is signed in to the console (decision 28); of what it holds only a hash is known.

    Attributes:
        id: its id.
        user_id: who is signed in.
        address: from where it was used last.
        browser: what the browser said of itself at sign-in.
        created_at: since when.
        seen_at: when it was used last, to within a minute.
    """

    id: str
    user_id: str
    address: str | None
    browser: str
    created_at: datetime
    seen_at: datetime


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
