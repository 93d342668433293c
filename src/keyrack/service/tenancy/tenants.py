"""Tenants (contract section 7)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from keyrack.errors import InUse, NotFound, Problem, ValidationFailed
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Tenant, WorkspaceType
from keyrack.service.authz.access import ALLOWED, Access, Scope
from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.service.authz.references import refuse_taken
from keyrack.store.audit_log import AuditLog
from keyrack.store.contracts import ContractRows
from keyrack.store.core.keyring import Keyring, NewDataKey
from keyrack.store.core.large_columns import in_batches
from keyrack.store.core.paging import After
from keyrack.store.core.unit import Unit
from keyrack.store.tenants import TenantRows
from keyrack.validation.unvalidated import Unvalidated

_LARGEST = 1 << 20
"""Bytes of a tenant's attributes as JSON: what fits into one request, however many they came in."""
_NAMED = 100
"""Contracts that a refusal names at most."""
_FLAGS = "feature_flags"
_CREATE = "tenants.tenant.create"


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What a caller sends to create a tenant; what `attributes` do not say gets its default."""

    name: str
    app_domain: str
    attributes: Json
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class TenantChanges:
    """What a caller wants to be different about a tenant.

    Attributes:
        name: a new name; None: as it was.
        app_domain: a new domain; None: as it was.
        attributes: new values of other attributes; None unsets one, so that its default applies if it has one. Those
            of `feature_flags` are changed one by one in the same way.
    """

    name: str | None = None
    app_domain: str | None = None
    attributes: Json = field(default_factory=dict)


class Tenants:
    """Use cases of contract section 7.

    Args:
        access: the way into every operation.
        before_removal: does what others need of a tenant that is being deleted, in its transaction, while there is
            something to read.
        keyring: makes the data keys of tenants.
    """

    def __init__(self, access: Access, before_removal: Callable[[Unit], Awaitable[None]], keyring: Keyring) -> None:
        self._access = access
        self._keyring = keyring
        self._before_removal = before_removal

    async def create(self, who: Principal, new: Unvalidated[NewTenant]) -> Tenant:
        """Create a tenant with the default role policy.

        Raises:
            Forbidden: the caller holds no installation-wide `tenants.tenant.create`.
            AlreadyExists: another tenant has the domain, or is the default.
            IdConflict: the body has the id of another tenant.
            KeyServiceUnavailable: no data key can be made for it.
        """
        key = await self._key_beforehand(who)
        async with self._access.installation(who, "tenant.create") as scope:
            scope.require(_CREATE)
            wanted = new.validated()
            await refuse_taken(scope, "tenant", wanted.given_id)
            attributes = changed_attributes(first_attributes(), wanted.attributes)
            tenant = await TenantRows(scope.unit).add(wanted.name, wanted.app_domain, attributes, DEFAULT_ROLES, key)
            scope.audit_target("tenant", tenant.id)
            return tenant

    async def _key_beforehand(self, who: Principal) -> NewDataKey | None:
        """Make the data key of a tenant that is about to be created, if a key service has to be called for it.

        So no transaction waits for the service, and nobody has it called without the permission.

        Returns:
            None: the key is made within the transaction, or the caller will be refused.

        Raises:
            KeyServiceUnavailable: the service does not answer, or refuses.
        """
        if not self._keyring.kek.is_remote or who.tenant_id is not None or _CREATE not in who.permissions:
            return None
        return await self._keyring.make_key(new_id())

    async def list(self, who: Principal, *, limit: int | None, offset: int | After) -> tuple[Sequence[Tenant], int]:
        """List the caller's tenants; a service account sees all. Return a page and the total."""
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                scope.require("tenants.tenant.get")
                return await TenantRows(scope.unit).page(limit=limit, offset=offset)
        own = [await self.get(who, who.tenant_id)]
        return own if isinstance(offset, After) else own[offset:], 1

    def whole(self, found: Sequence[Tenant]) -> AsyncIterator[Tenant]:
        """Yield the tenants of a list with the attributes that were left out."""

        async def read(some: Sequence[Tenant]) -> Mapping[str, Tenant]:
            async with self._access.reading_across_tenants() as unit:
                return await TenantRows(unit).whole(some)

        return in_batches(found, lambda tenant: tenant.left_out, lambda tenant: tenant.id, read)

    async def get(self, who: Principal, tenant_id: str) -> Tenant:
        """Return a tenant."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.get")
            return await _there(scope, tenant_id)

    async def change(self, who: Principal, tenant_id: str, wanted: Unvalidated[TenantChanges]) -> Tenant:
        """Change a tenant; omitted attributes keep their values.

        Raises:
            AlreadyExists: another tenant has the domain, or is the default.
            ValidationFailed: the body is wrong, or the attributes became too large.
        """
        async with self._access.tenant(who, tenant_id, "tenant.change", exclusive=True) as scope:
            scope.require("tenants.tenant.edit")
            tenant = await _there(scope, tenant_id)
            changes = wanted.validated()
            attributes = changed_attributes(tenant.attributes, changes.attributes)
            if len(json.dumps(attributes)) > _LARGEST:
                raise ValidationFailed(Problem("the attributes are larger than 1 MiB in total", "/data/attributes"))
            changed = replace(
                tenant,
                name=tenant.name if changes.name is None else changes.name,
                app_domain=tenant.app_domain if changes.app_domain is None else changes.app_domain.lower(),
                attributes=attributes,
            )
            await TenantRows(scope.unit).change(changed)
            scope.audit_target("tenant", tenant_id)
            return changed

    async def remove(self, who: Principal, tenant_id: str) -> None:
        """Delete a tenant without contracts, with its users, clients, webhooks and keys; its audit log stays.

        Nobody begins anything in the tenant meanwhile, so no contract can slip in.

        Raises:
            InUse: it contains a contract.
        """
        async with self._access.tenant(who, tenant_id, "tenant.delete", exclusive=True) as scope:
            scope.require("tenants.tenant.delete")
            await _require_no_contracts(scope)
            await self._before_removal(scope.unit)
            await TenantRows(scope.unit).remove(tenant_id)
            scope.audit_target("tenant", tenant_id)
            # the tenant's own log can be read on the command line only from now on
            await AuditLog(scope.unit.of_installation()).append(who, "tenant.delete", ("tenant", tenant_id), ALLOWED)


def changed_attributes(before: Json, given: Json) -> Json:
    """Return a tenant's attributes with changes.

    Args:
        before: all attributes.
        given: new values; None unsets an attribute or a feature flag, so that its default applies if it has one.
    """
    first = first_attributes()
    after = _merged(before, {name: value for name, value in given.items() if name != _FLAGS}, first)
    if _FLAGS in given:
        defaults = dict(first[_FLAGS])
        flags = before.get(_FLAGS, {})
        after[_FLAGS] = defaults if given[_FLAGS] is None else _merged({**defaults, **flags}, given[_FLAGS], defaults)
    return after


def _merged(before: Json, given: Json, defaults: Json) -> Json:
    after = dict(before)
    for name, value in given.items():
        if value is not None:
            after[name] = value
        elif name in defaults:
            after[name] = defaults[name]
        else:
            after.pop(name, None)
    return after


async def _there(scope: Scope, tenant_id: str) -> Tenant:
    tenant = await TenantRows(scope.unit).find(tenant_id)
    if tenant is None:
        raise NotFound
    return tenant


async def _require_no_contracts(scope: Scope) -> None:
    contracts, total = await ContractRows(scope.unit).page(member=None, limit=_NAMED)
    if not total:
        return
    sees_them = scope.who.tenant_id is None or scope.is_tenant_admin or scope.allows("contracts.contract.listAll")
    ids = [contract.id for contract in contracts] if sees_them else []
    detail = f"the tenant contains {total} contract{'s' if total > 1 else ''}; delete them first"
    raise InUse(detail, meta={"contract_ids": ids, "contracts": total})


def first_attributes() -> Json:
    """Return the attributes of a tenant that was given none (contract section 7)."""
    return {
        "code": "",
        "mandrill_email_from": "",
        "default_workspace_type": WorkspaceType.full.value,
        "feature_flags": {
            "contract_component_whitelist": False,
            "enabled_totp": False,
            "forced_totp": False,
            "sensitive_actions_reauth": False,
            "email_verification": True,
        },
    }


async def base_address(unit: Unit, public_url: str | None) -> str:
    """Return the base of addresses that browsers open in the unit's tenant (contract 0.7).

    Args:
        unit: of the tenant.
        public_url: the setting of this name.

    Raises:
        NotFound: the tenant is gone.
    """
    if public_url is not None:
        return public_url
    tenant = await TenantRows(unit).find(unit.tenant_id)
    if tenant is None:
        raise NotFound
    return f"https://{tenant.app_domain}"
