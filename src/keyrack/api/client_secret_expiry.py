"""How documents and lists of clients say when the client's secret ends (extension, decision 27)."""

from datetime import datetime
from typing import Annotated

from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.core.query import asked_time
from keyrack.clock import iso
from keyrack.model.clients import ClientFilter, SecretExpiry
from keyrack.service.clients.secret_expiry import GivenExpiry

_FILTER = "filter[secret_expires_before]"
SecretExpiresBefore = Annotated[
    str | None,
    QueryParameter(name=_FILTER, description="Those whose secret ends before this time, ISO 8601 with an offset."),
]


def wanted_clients(component_id: str | None, secret_expires_before: str | None) -> ClientFilter:
    """Return what the filters of a list of clients ask for; an empty one asks for nothing.

    Raises:
        ValidationFailed: the time is none.
    """
    return ClientFilter(component_id or None, asked_time(secret_expires_before, _FILTER))


def given_expiry(member: datetime | UnsetType | None) -> GivenExpiry | None:
    """Return what a body says of the secret's end; None if it leaves the member out."""
    return None if isinstance(member, UnsetType) else GivenExpiry(member)


def shown_expiry(expiry: SecretExpiry) -> str | UnsetType:
    """Return the member that shows the secret's end; documents of clients without one are as the contract has them."""
    return UNSET if expiry.at is None else iso(expiry.at)
