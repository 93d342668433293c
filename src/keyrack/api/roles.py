"""Roles as the policies of tenants and contracts show them (contract 6.4)."""

import msgspec

from keyrack.model import Role


class RoleEntry(msgspec.Struct):
    """A role of the policy."""

    role: str
    scope: str
    permissions: list[str]
    i18n: dict[str, str]


class PolicyAttributes(msgspec.Struct):
    """The roles."""

    roles: list[RoleEntry]


def role_entry(role: Role) -> RoleEntry:
    """Build a policy's entry."""
    return RoleEntry(role.role, role.scope, sorted(role.permissions), dict(role.i18n))
