"""Imports tenants and users."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy import Row, Table

from keyrack.model.tenancy import Role, Tenant
from keyrack.service.authz.permissions import DEFAULT_ROLES, normalise
from keyrack.service.importers.platform.connect_theme import check_connect_theme, connect_theme_rows
from keyrack.service.importers.platform.kinds import Piece, given, or_now, same_place
from keyrack.service.importers.platform.known import Known, TenantSeen
from keyrack.service.importers.platform.named import tenant_of
from keyrack.service.importers.platform.place_records import RoleRecord, TenantRecord, UserRecord
from keyrack.service.tenancy.tenants import first_attributes
from keyrack.store.core.bulk import Complete, RowToWrite
from keyrack.store.schema import api_keys, roles, tenants, users
from keyrack.validation.emails import LONGEST_EMAIL, email_key, fault_of

_OWN = ("name", "app_domain")


@dataclass(frozen=True, slots=True)
class TenantKind:
    """Tenants with their roles."""

    table: Table = tenants

    async def check(self, known: Known, record: TenantRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a tenant."""
        domain = str(record.attributes["app_domain"]).lower()
        pointer = f"{at}/attributes/app_domain"
        known.unique(pointer, "another tenant of the file has this domain", "domain", domain)
        for row in await known.bulk.rows(tenants.c.app_domain, [domain]):
            if row.id != record.id:
                known.report.problem("a stored tenant has this domain", pointer)
        await _check_default(known, record, at)
        check_connect_theme(known, record, at)
        policy = _policy(known, record.meta.roles, f"{at}/meta/roles") if record.meta.roles is not UNSET else None
        if policy is None and stored is not None:
            seen = await known.tenant(record.id)
            policy = seen.policy if seen else DEFAULT_ROLES
        made = _tenant_row(known, record)
        tenant = Tenant(record.id, record.attributes["name"], domain, made["attributes"], made["created_at"])
        known.told["tenants", record.id] = TenantSeen(tenant, DEFAULT_ROLES if policy is None else policy)

    async def piece(self, known: Known, record: TenantRecord) -> Piece:
        """Return a tenant's rows."""
        row = _tenant_row(known, record)
        created = row.pop("created_at")
        fixed = given(created_at=record.meta.created_at)
        main = RowToWrite(tenants, "", {"id": record.id}, {**row, **fixed}, {"created_at": created})
        seen = await known.tenant(record.id)
        policy = seen.policy if seen else ()
        others = [
            RowToWrite(
                roles,
                record.id,
                {"tenant_id": record.id, "scope": role.scope, "role": role.role},
                {"permissions": sorted(role.permissions), "i18n": dict(role.i18n), "position": position},
            )
            for position, role in enumerate(policy)
        ]
        others += connect_theme_rows(record)
        scopes = ("tenants", "contracts", "workspaces")
        exact = [
            Complete(
                roles,
                {"tenant_id": record.id, "scope": scope},
                "role",
                frozenset(role.role for role in policy if role.scope == scope),
            )
            for scope in scopes
        ]
        return Piece(main, others, exact)


async def _check_default(known: Known, record: TenantRecord, at: str) -> None:
    if not record.attributes.get("is_default"):
        return
    pointer = f"{at}/attributes/is_default"
    if known.unique(pointer, "another tenant of the file is the default", "default tenant"):
        ids = (await known.bulk.every(tenants.c.id, tenants.c.attributes)).items()
        if any(tenant_id != record.id and attributes.get("is_default") for tenant_id, attributes in ids):
            known.report.problem("the installation already has a default tenant", pointer)


def _tenant_row(known: Known, record: TenantRecord) -> dict[str, Any]:
    own = {name: value for name, value in record.attributes.items() if name not in _OWN}
    defaults: dict[str, Any] = first_attributes()
    flags = {**defaults["feature_flags"], **own.get("feature_flags", {})}
    return {
        "name": record.attributes["name"],
        "app_domain": str(record.attributes["app_domain"]).lower(),
        "attributes": {**defaults, **own, "feature_flags": flags},
        "created_at": or_now(known, record.meta.created_at),
    }


def _policy(known: Known, entries: Any, at: str) -> tuple[Role, ...]:
    """Return the roles of a file; without roles of tenants, which the API does not list, there are the default ones."""
    found: list[Role] = []
    for index, entry in enumerate(entries):
        role: RoleRecord = entry
        known.unique(f"{at}/{index}", "the tenant has this role already", "role", at, role.scope, role.role)
        permissions, unknown = normalise(role.permissions)
        if unknown:
            known.report.problem(f"has {len(unknown)} that is no permission", f"{at}/{index}/permissions")
        found.append(Role(role.scope, role.role, frozenset(permissions), role.i18n))
    if not any(role.scope == "tenants" for role in found):
        found = [*(role for role in DEFAULT_ROLES if role.scope == "tenants"), *found]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class UserKind:
    """Users with their API keys."""

    table: Table = users

    async def check(self, known: Known, record: UserRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a user."""
        tenant_id = await tenant_of(known, record.relationships.tenant, at)
        if tenant_id is None:
            known.broken["users"].add(record.id)
            return
        same_place(known, at, stored, {"tenant_id": (tenant_id, "/id")})
        key, pointer = email_key(record.attributes.email), f"{at}/attributes/email"
        if len(key) > LONGEST_EMAIL:
            known.report.problem("is too long", pointer)
        elif fault := fault_of(record.attributes.email):
            known.report.problem(fault, pointer)
        if known.unique(pointer, "another user of the file has this email", "email", key):
            for row in await known.bulk.rows(users.c.email_key, [key]):
                if row.id != record.id:
                    known.report.problem("a stored user has this email", pointer)
        seen = await known.tenant(tenant_id)
        if record.meta.tenant_roles is not UNSET:
            for index, role in enumerate(record.meta.tenant_roles):
                if seen is not None and not seen.has("tenants", role):
                    known.report.problem("the tenant has no such role", f"{at}/meta/tenant_roles/{index}")
        await _check_keys(known, record, at)
        known.told["users", record.id] = tenant_id

    async def piece(self, known: Known, record: UserRecord) -> Piece:
        """Return a user's rows."""
        tenant_id = await known.user_tenant(record.id) or ""
        about, meta = record.attributes, record.meta
        main = RowToWrite(
            users,
            tenant_id,
            {"id": record.id},
            given(
                email=about.email,
                email_key=email_key(about.email),
                first_name=about.first_name,
                last_name=about.last_name,
                company=about.company,
                registered=about.registered,
                tenant_roles=meta.tenant_roles,
                password_hash=meta.password_hash,
                set_up_at=_in_use_since(known, record),
            ),
            {
                "registered": or_now(known, about.registered),
                "last_login": None if about.last_login is UNSET else about.last_login,
                "tenant_roles": [],
                "password_hash": None,
            },
        )
        keys = [] if meta.api_keys is UNSET else meta.api_keys
        others = [
            RowToWrite(
                api_keys,
                "",
                {"id": key.id},
                given(name=key.name, expires_at=key.expires_at),
                {"user_id": record.id, "key_hash": key.key_hash, **given(created_at=key.created_at)},
            )
            for key in keys
        ]
        return Piece(main, others)


def _in_use_since(known: Known, record: UserRecord) -> datetime | UnsetType:
    """Return since when an account is in use: then nobody is given its first API key any more (decision 24)."""
    about, meta = record.attributes, record.meta
    if meta.set_up_at is not UNSET:
        return meta.set_up_at
    in_use = any(value is not UNSET and value for value in (meta.api_keys, about.last_login))
    return or_now(known, about.registered) if in_use else UNSET


async def _check_keys(known: Known, record: UserRecord, at: str) -> None:
    for index, key in enumerate([] if record.meta.api_keys is UNSET else record.meta.api_keys):
        pointer = f"{at}/meta/api_keys/{index}"
        known.unique(f"{pointer}/id", "another API key of the file has this id", "key", key.id)
        known.unique(f"{pointer}/key_hash", "another API key of the file has this hash", "hash", key.key_hash)
        stored = [
            *await known.bulk.rows(api_keys.c.id, [key.id]),
            *await known.bulk.rows(api_keys.c.key_hash, [key.key_hash]),
        ]
        if any((row.id, row.user_id, row.key_hash) != (key.id, record.id, key.key_hash) for row in stored):
            known.report.problem("another API key with this id or hash is stored", pointer)
