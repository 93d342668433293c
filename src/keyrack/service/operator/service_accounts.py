"""Lists, changes and deletes service accounts over the API (extension, contract 0.16)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from keyrack.errors import Forbidden, NotFound, Problem, ValidationFailed
from keyrack.model.identity import Principal, ServiceAccount
from keyrack.service.authz.access import Access
from keyrack.service.authz.permissions import no_such_permission, normalise
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.paging import After
from keyrack.validation.unvalidated import Unvalidated

_GET, _EDIT, _DELETE = (f"global.service_accounts.{action}" for action in ("get", "edit", "delete"))
TARGET = "service-account"
"""What the audit log calls one."""


@dataclass(frozen=True, slots=True)
class ServiceAccountChange:
    """What is to become different; None: it stays as it is."""

    username: str | None = None
    permissions: Sequence[str] | None = None


class ServiceAccountAdmin:
    """Use cases for service accounts that hold `global.service_accounts.…`.

    New ones, and keys, come from the command line alone: who signs in to the whole installation is decided there
    (contract section 2). To everybody else there are no service accounts.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(
        self, who: Principal, *, part: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[ServiceAccount], int]:
        """List the service accounts; return a page and the number of all.

        Args:
            who: is asking.
            part: only those whose names have this in them, or that have it as their id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.

        Raises:
            Forbidden: the caller may not see them.
        """
        async with self._access.installation(who) as scope:
            scope.require(_GET)
            return await ServiceAccounts(scope.unit).page(part=part, limit=limit, offset=offset)

    async def get(self, who: Principal, account_id: str) -> ServiceAccount:
        """Return one service account.

        Raises:
            NotFound: there is none, or the caller may not see any.
        """
        self._require_sight(who, _GET, account_id)
        async with self._access.installation(who) as scope:
            account = await ServiceAccounts(scope.unit).find(account_id)
            if account is None:
                raise unknown()
            return account

    async def change(
        self, who: Principal, account_id: str, change: Unvalidated[ServiceAccountChange]
    ) -> ServiceAccount:
        """Change a service account's user name or permissions; its keys stay.

        Raises:
            NotFound: there is none, or the caller may not see any.
            Forbidden: the caller may not change them, or gives a permission that it does not hold itself.
            ValidationFailed: a permission does not exist, or the name cannot be told from an email.
            AlreadyExists: another one has the name.
        """
        self._require_sight(who, _EDIT, account_id)
        async with self._access.installation(who, f"{TARGET}.edit") as scope:
            scope.require(_EDIT)
            account = await ServiceAccounts(scope.unit).hold(account_id)
            if account is None:
                raise unknown()
            changed = changed_account(account, change.validated())
            lacking = changed.permissions - account.permissions - who.permissions
            if lacking:
                raise Forbidden(f"you can only give permissions that you hold, and not {', '.join(sorted(lacking))}")
            await ServiceAccounts(scope.unit).change(changed)
            scope.audit_target(TARGET, account.id)
            return changed

    async def delete(self, who: Principal, account_id: str) -> None:
        """Delete a service account; its keys are gone at once.

        Raises:
            NotFound: there is none, or the caller may not see any.
            Forbidden: the caller may not delete them.
        """
        self._require_sight(who, _DELETE, account_id)
        async with self._access.installation(who, f"{TARGET}.delete") as scope:
            scope.require(_DELETE)
            if not await ServiceAccounts(scope.unit).remove(account_id):
                raise unknown()
            scope.audit_target(TARGET, account_id)

    def _require_sight(self, who: Principal, permission: str, account_id: str) -> None:
        """Hide all service accounts from callers who may do nothing with them (contract section 3).

        Raises:
            NotFound: the caller holds neither the permission nor the one to see them.
        """
        if who.permissions.isdisjoint({permission, _GET}):
            self._access.counts.denied(who, INSTALLATION, (TARGET, account_id), permission)
            raise unknown()


def changed_account(account: ServiceAccount, change: ServiceAccountChange) -> ServiceAccount:
    """Return a service account with a change made to it.

    Raises:
        ValidationFailed: a permission does not exist, or the name cannot be told from an email.
    """
    username = account.username if change.username is None else change.username
    permissions = account.permissions
    problems = [] if change.username is None else name_problems(username)
    if change.permissions is not None:
        known, unknown_names = normalise(change.permissions)
        permissions = frozenset(known)
        problems += permission_problems(unknown_names)
    if problems:
        raise ValidationFailed(*problems)
    return replace(account, username=username, permissions=permissions)


def permission_problems(unknown_names: Iterable[str]) -> list[Problem]:
    """Return what is wrong with names that are no permission."""
    seen_in = "see keyrack permissions for all there are"
    return [Problem(no_such_permission(name, seen_in), "/data/attributes/permissions") for name in unknown_names]


def name_problems(name: str) -> list[Problem]:
    """Return what is wrong with a user name: it must not look like an email, nor end the name in HTTP Basic."""
    if name.strip() and "@" not in name and ":" not in name:
        return []
    return [Problem("a service account's name has neither @ nor colon", "/data/attributes/username")]


def unknown() -> NotFound:
    """Return the error for an id or name that no service account has."""
    return NotFound("there is no such service account")
