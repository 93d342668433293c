"""Components and their builds."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyrack.model import Json


class ComponentAccess(StrEnum):
    """Who can use a component in flows (contract section 5), from narrow to wide."""

    team = "team"
    tenant = "tenant"
    everyone = "global"

    @property
    def width(self) -> int:
        """A number that grows with reach; access may only be raised through the API."""
        return list(ComponentAccess).index(self)


@dataclass(frozen=True, slots=True)
class Version:
    """A successful build of a component: a revision and its descriptor (component.json)."""

    revision: str
    component_id: str
    number: int
    created_at: datetime
    descriptor: Json = field(repr=False)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """A connector. `tenant_id` is that of the owner; a global component is seen by every tenant."""

    id: str
    tenant_id: str
    contract_id: str
    team_id: str
    team_name: str
    name: str
    access: ComponentAccess
    whitelisted_contract_ids: tuple[str, ...]
    attributes: Json
    latest: Version | None
    uses_oauth_client: bool
    """Whether the latest build asks for the tenant's OAuth client (contract section 5)."""

    @property
    def title(self) -> str:
        """What its latest build calls it; its name, if that does not say."""
        title = self.latest.descriptor.get("title") if self.latest else None
        return title if isinstance(title, str) and title.strip() else self.name

    @property
    def left_out(self) -> int:
        """Bytes of the latest build's descriptor, if a list has left it out for now."""
        return 0 if self.latest is None else self.latest.left_out


class ClientNeed(StrEnum):
    """What a component and a tenant's OAuth clients are to each other."""

    lacking = "lacking"
    """It needs one, and there is none."""
    served = "served"
    """It needs one, and there is one."""
    needed = "needed"
    """It needs one, whether there is one or not."""
    none = "none"
    """It needs none."""


@dataclass(frozen=True, slots=True)
class ComponentNeed:
    """A component as such a list shows it.

    Attributes:
        id: its id.
        team_name: the name of its team, which makes its full name with `name`.
        name: its name.
        access: who can use it.
        is_own: whether it is the tenant's.
        has_build: whether there is a build of it.
        needs_client: whether its latest build asks for an OAuth client.
        oauth_client_id: the tenant's client for it.
        secret_expires_at: when that client's secret ends, if somebody has said.
    """

    id: str
    team_name: str
    name: str
    access: ComponentAccess
    is_own: bool
    has_build: bool
    needs_client: bool
    oauth_client_id: str | None
    secret_expires_at: datetime | None

    @property
    def full_name(self) -> str:
        """As flows and errors name it."""
        return f"{self.team_name}/{self.name}"

    @property
    def need(self) -> ClientNeed:
        """What it and the tenant's clients are to each other."""
        if not self.needs_client:
            return ClientNeed.none
        return ClientNeed.served if self.oauth_client_id is not None else ClientNeed.lacking


def uses_oauth_client(descriptor: Json) -> bool:
    """Tell whether a descriptor says `useOAuthClient: true`, at top level or in `credentials` (contract 19.1)."""
    inner = descriptor.get("credentials")
    return descriptor.get("useOAuthClient") is True or (isinstance(inner, dict) and inner.get("useOAuthClient") is True)
