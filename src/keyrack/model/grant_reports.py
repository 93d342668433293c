"""Reports on grants: those that nobody reads, and those that will end, with why and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReportedGrant:
    """A grant of a report, without credentials.

    Attributes:
        id, name, workspace_id, type: of the auth secret.
        auth_client_id, client_name: its auth client.
        state: as it is stored.
        created_at: when the secret was made.
        connected_at: when a consent brought tokens last, if one did.
        last_used_at: when it was read last, as far as that has been noted; None: never.
        expires_at: when its access token ends.
        refresh_token_expires_at: when its refresh token ends, unless a refresh comes before.
        grant_expires_at: when a new consent is needed in any case.
        refreshable: new tokens can be got without a person.
        failing: the last refresh failed.
        requested_scopes: what its consent asked for.
    """

    id: str
    name: str
    workspace_id: str
    type: str
    auth_client_id: str
    client_name: str
    state: str
    created_at: datetime
    connected_at: datetime | None
    last_used_at: datetime | None
    expires_at: datetime | None
    refresh_token_expires_at: datetime | None
    grant_expires_at: datetime | None
    refreshable: bool
    failing: bool
    requested_scopes: Sequence[str]

    @property
    def granted_at(self) -> datetime:
        """When a person allowed access, as far as is known."""
        return self.connected_at or self.created_at


class EndReason(StrEnum):
    """Why a grant will end."""

    grant_lifetime = "grant_lifetime"
    token_not_renewable = "token_not_renewable"  # noqa: S105 - the name of a reason
    refresh_token_unused = "refresh_token_unused"  # noqa: S105 - the name of a reason
    client_secret = "client_secret"  # noqa: S105 - the name of a reason
    provider_rule = "provider_rule"
    google_testing = "google_testing"
    learned_lifetime = "learned_lifetime"


class Basis(StrEnum):
    """What a forecast rests on.

    `known`: the provider, its profile, its published rules or somebody who entered a date say so. `guess`: it was
    concluded from when other grants died, and may be wrong.
    """

    known = "known"
    guess = "guess"


@dataclass(frozen=True, slots=True)
class GrantEnd:
    """That a grant will end.

    Attributes:
        reason: why.
        at: when.
        basis: how sure that is.
        says: why, for a person.
        remedy: what to do, for a person.
        documentation: address of the provider's page on it, if there is one.
    """

    reason: EndReason
    at: datetime
    basis: Basis
    says: str
    remedy: str
    documentation: str | None = None


@dataclass(frozen=True, slots=True)
class EndingGrant:
    """A grant that will end, and the reasons, the earliest first."""

    grant: ReportedGrant
    ends: Sequence[GrantEnd]


@dataclass(frozen=True, slots=True)
class LearnedLifetime:
    """How long grants lived, as other grants that died let guess.

    Attributes:
        lifetime: from the consent to the refusal.
        deaths: how many grants died at that age.
    """

    lifetime: timedelta
    deaths: int


@dataclass(frozen=True, slots=True)
class ReportPage(Generic[T]):
    """Part of a report.

    Attributes:
        rows: what was found in this part, by id; there may be none, and more in the next.
        after: where the next part begins; None: this is the last.
    """

    rows: Sequence[T]
    after: str | None
