"""Signing in to the console: sessions (decision 28), authenticator apps and sign-ins that wait for a code (29)."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from keyrack.store.schema.base import Document, Id, at, metadata, own_id


def _home() -> Column[Any]:
    return Column("tenant_id", Id, nullable=False)  # empty for a service account, which belongs to the installation


def _owner() -> list[Column[Any]]:
    """Whose a row is, and goes with: a user's or a service account's, one of the two."""
    return [
        Column("user_id", Id, ForeignKey("users.id", ondelete="CASCADE")),
        Column("service_account_id", Id, ForeignKey("service_accounts.id", ondelete="CASCADE")),
    ]


console_sessions = Table(
    "console_sessions",
    metadata,
    own_id(),
    _home(),
    *_owner(),
    Column("session_hash", String(64), nullable=False, unique=True),
    Column("address", String(64)),  # from where it was used last
    Column("browser", String(300), nullable=False),  # what the browser said of itself at sign-in
    at("created_at"),
    at("seen_at"),
    Index("console_sessions_tenant_id_idx", "tenant_id"),
    Index("console_sessions_user_id_idx", "user_id", "created_at"),
    Index("console_sessions_service_account_id_idx", "service_account_id", "created_at"),
    Index("console_sessions_seen_at_idx", "seen_at"),
)

authenticators = Table(
    "authenticators",
    metadata,
    own_id(),
    _home(),
    *_owner(),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("session_id", Id, nullable=False),  # in which it was begun, and can be confirmed
    at("created_at"),
    at("confirmed_at", nullable=True),  # null: no code is asked for yet
    Column("last_step", BigInteger, nullable=False),  # the newest one of which a code was taken
    Column("wrong_codes", Integer, nullable=False),  # since the last right one
    at("retry_at", nullable=True),  # before which no further code is looked at
    Column("recovery_hashes", Document, nullable=False),  # of the recovery codes that are left
    UniqueConstraint("user_id"),
    UniqueConstraint("service_account_id"),
    Index("authenticators_tenant_id_idx", "tenant_id"),
)

pending_sign_ins = Table(
    "pending_sign_ins",
    metadata,
    own_id(),
    _home(),
    *_owner(),
    Column("cookie_hash", String(64), nullable=False, unique=True),
    at("password_set_at"),  # of the password that was right
    at("created_at"),
    Index("pending_sign_ins_tenant_id_idx", "tenant_id"),
    Index("pending_sign_ins_user_id_idx", "user_id"),
    Index("pending_sign_ins_service_account_id_idx", "service_account_id"),
    Index("pending_sign_ins_created_at_idx", "created_at"),
)
