"""Imports when the secrets of clients end; what lies ahead then is told, as for a date that is set (decision 27)."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET
from sqlalchemy import Row

from keyrack.service.clients.secret_expiry import OUT_OF_RANGE, expiry_of, in_range
from keyrack.service.importers.platform.grant_records import AuthClientRecord, OAuthClientRecord
from keyrack.service.importers.platform.known import Known


def check_expiry(
    known: Known, record: OAuthClientRecord | AuthClientRecord, at: str, stored: "Row[Any] | None"
) -> None:
    """Report a time that cannot be; tell `known` of one that is another than is stored.

    Args:
        known: what the file says.
        record: the client.
        at: its pointer.
        stored: the row with its id; what is due and not told yet stays so where the time is the same.
    """
    ends = record.attributes.secret_expires_at
    if ends is UNSET:
        return
    if ends is not None and not in_range(ends):
        known.report.problem(OUT_OF_RANGE, f"{at}/attributes/secret_expires_at")
        return
    expiry = expiry_of(ends, known.unit.clock())
    if stored is None or stored.secret_expires_at != expiry.at:
        known.told["expiry", record.id] = expiry


def ends_with(
    record: OAuthClientRecord | AuthClientRecord, same_secret: Callable[[Mapping[str, Any]], bool]
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return what tells the columns that change with encrypted ones: another secret ends at another time.

    Args:
        record: the client; a time that it names is right for the secret that comes with it.
        same_secret: whether the stored values, in clear, have the secret that the record has.
    """
    if record.attributes.secret_expires_at is not UNSET:
        return lambda _: {}
    return lambda stored: {} if same_secret(stored) else {"secret_expires_at": None, "reminder_at": None}


def expiry_columns(known: Known, record: OAuthClientRecord | AuthClientRecord) -> Mapping[str, Any]:
    """Return the columns that change."""
    expiry = known.told.get(("expiry", record.id))
    return {} if expiry is None else {"secret_expires_at": expiry.at, "reminder_at": expiry.remind_at}
