"""Results of the client. Secret values never show in a `repr`; `reveal()` gives a `Secret`'s text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyrack.crypto.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person's account (contract section 11)."""

    id: str
    email: str
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A contract (section 9)."""

    id: str
    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace (section 10)."""

    id: str
    name: str
    type: str
    contract_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component (section 13)."""

    id: str
    name: str
    team_name: str
    access: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow (section 17)."""

    id: str
    name: str
    type: str
    status: str
    current_status: str
    workspace_id: str
    graph: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A tenant's OAuth client for a component (section 8).

    Attributes:
        component_id: None once the component is gone or hidden.
    """

    id: str
    client_id: str
    client_secret: Secret
    component_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthClient:
    """The application's side of secrets (section 14).

    Attributes:
        credentials: None where the caller may not see them.
    """

    id: str
    name: str
    type: str
    component_ids: tuple[str, ...]
    credentials: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential of the first generation (section 16).

    Attributes:
        keys: None where the caller may not see them.
    """

    id: str
    name: str
    component_id: str
    workspace_id: str
    keys: Mapping[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSecret:
    """A user's access to a provider (section 15).

    Attributes:
        type: of its auth client: `oauth2`, `basic`, `api_key`, ...
        state: `ready` or `error`; `error` and `error_code` say why.
        credentials: None where the caller may not see them.
        expires_at: when the access token ends; None where that is not known.
        seconds_left: until then, by Keyrack's clock, when it answered; so a wrong clock here does no harm.
    """

    id: str
    name: str
    type: str
    state: str
    error: str | None
    error_code: str | None
    workspace_id: str
    auth_client_id: str
    expires_at: datetime | None
    seconds_left: float | None
    credentials: Mapping[str, Any] | None = field(repr=False)

    @property
    def access_token(self) -> Secret | None:
        """The token of an oauth2 secret; None where there is none to see."""
        value = (self.credentials or {}).get("access_token")
        return Secret(value) if isinstance(value, str) else None
