"""The usual build's tables, and the column type that encrypts what is secret."""

import hashlib
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

_NONCE_BYTES = 12
_cipher = AESGCM(hashlib.sha256(b"the key of a benchmark").digest())


def new_id() -> str:
    return uuid.uuid4().hex


def now() -> datetime:
    return datetime.now(UTC)


def hash_of(api_key: str) -> str:
    """Return what is stored in place of an API key; it is long and random, so one round is enough."""
    return hashlib.sha256(api_key.encode()).hexdigest()


class EncryptedJson(TypeDecorator[Any]):
    """A JSON document, encrypted with AES-GCM."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        del dialect
        if value is None:
            return None
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + _cipher.encrypt(nonce, json.dumps(value).encode(), None)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        del dialect
        if value is None:
            return None
        return json.loads(_cipher.decrypt(value[:_NONCE_BYTES], value[_NONCE_BYTES:], None))


class Base(DeclarativeBase):
    """What all tables have: an identifier."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)


class Tenant(Base):
    __tablename__ = "tenants"
    name: Mapped[str]


class Workspace(Base):
    __tablename__ = "workspaces"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str]


class Role(Base):
    __tablename__ = "roles"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str]
    permissions: Mapped[list[str]] = mapped_column(JSON)


class User(Base):
    __tablename__ = "users"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    email: Mapped[str] = mapped_column(unique=True)
    memberships: Mapped[list["Membership"]] = relationship()


class Membership(Base):
    """A role in the tenant as a whole, or in one workspace."""

    __tablename__ = "memberships"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspaces.id"), index=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("roles.id"))
    role: Mapped[Role] = relationship()


class ApiKey(Base):
    __tablename__ = "api_keys"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user: Mapped[User] = relationship()


class Component(Base):
    __tablename__ = "components"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str]


class OAuthClient(Base):
    __tablename__ = "oauth_clients"
    __table_args__ = (UniqueConstraint("tenant_id", "component_id"),)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), index=True)
    pair: Mapped[dict[str, str]] = mapped_column(EncryptedJson)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now, onupdate=now)


class AuthClientComponent(Base):
    __tablename__ = "auth_client_components"
    auth_client_id: Mapped[str] = mapped_column(ForeignKey("auth_clients.id"), index=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), index=True)


class AuthClient(Base):
    __tablename__ = "auth_clients"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    type: Mapped[str]
    credentials: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)
    components: Mapped[list[AuthClientComponent]] = relationship()


class Credential(Base):
    __tablename__ = "credentials"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    keys: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)


class AuthSecret(Base):
    __tablename__ = "auth_secrets"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    auth_client_id: Mapped[str] = mapped_column(ForeignKey("auth_clients.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    type: Mapped[str]
    state: Mapped[str]
    credentials: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    next_refresh_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Flow(Base):
    __tablename__ = "flows"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    description: Mapped[str]
    type: Mapped[str]
    status: Mapped[str]
    graph: Mapped[dict[str, Any]] = mapped_column(JSON)
    latest_version: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now, onupdate=now)


class FlowComponent(Base):
    """Which components a flow's steps use."""

    __tablename__ = "flow_components"
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id"), index=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), index=True)


class AuditEvent(Base):
    __tablename__ = "audit_events"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    user_id: Mapped[str]
    action: Mapped[str]
    target_type: Mapped[str]
    target_id: Mapped[str]
    address: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
