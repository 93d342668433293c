"""Invites into contracts (contract section 9): manage them. Accepting one: `invite_acceptance`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from keyrack.errors import AlreadyExists, Forbidden, NotFound, Problem, RelatedNotFound, ValidationFailed
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Invite, WorkspaceInvite
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.references import refuse_taken
from keyrack.service.authz.scope import scope_of
from keyrack.service.tenancy.members import EDIT_WORKSPACE_MEMBERS, require_editor, wrong_roles
from keyrack.service.tenancy.setup_links import MadeLink, SetupLinkMaker
from keyrack.store.contracts import ContractMembers
from keyrack.store.core.paging import After
from keyrack.store.invites import ContractInvites
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows
from keyrack.validation.unvalidated import Unvalidated

_ROLES, _WORKSPACE = "/data/attributes/roles", "/data/attributes/workspace_id"
_WORKSPACE_ROLES = "/data/attributes/workspace_roles"
_BOTH = frozenset({"roles", "workspace_roles"})


@dataclass(frozen=True, slots=True)
class NewInvite:
    """Who is invited to what; a workspace and the roles in it come together."""

    email: str
    roles: tuple[str, ...]
    workspace_id: str | None = None
    workspace_roles: tuple[str, ...] | None = None
    given_id: str | None = None
    made_id: str | None = None
    """The id that the invite gets; None: a new one."""


@dataclass(frozen=True, slots=True)
class ChangedInvite:
    """What a caller sends to change one; what is not `named` is kept, and None takes the workspace away."""

    named: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    workspace_id: str | None = None
    workspace_roles: tuple[str, ...] | None = None


class Invites:
    """Invites of contracts, for those who manage their members."""

    def __init__(self, access: Access, setup_links: SetupLinkMaker) -> None:
        self._access = access
        self._setup_links = setup_links

    async def of_contract(
        self,
        who: Principal,
        contract_id: str,
        *,
        beginning: str = "",
        limit: int | None = None,
        offset: int | After = 0,
    ) -> tuple[Sequence[Invite], int]:
        """List a contract's invites that nobody has accepted yet; return a page and the number of all.

        Args:
            who: is asking.
            contract_id: the contract.
            beginning: only those to emails that begin so; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list invites")
            return await ContractInvites(scope.unit).page(contract_id, beginning=beginning, limit=limit, offset=offset)

    async def get(self, who: Principal, contract_id: str, invite_id: str) -> Invite:
        """Return one of the invites that `of_contract` lists.

        Raises:
            NotFound: the contract has no such invite.
        """
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list invites")
            return await _there(scope, contract_id, invite_id)

    async def of_workspace(self, who: Principal, workspace_id: str) -> Sequence[Invite]:
        """List the invites into a workspace, to whom its members are told (section 10)."""
        async with self._access.workspace(who, workspace_id) as scope:
            seen = scope.in_workspace or scope.is_tenant_admin or scope.allows("contracts.workspace.listAll")
            scope.require_that(seen, "only members can list invites")
            return await ContractInvites(scope.unit).of_workspace(scope.place.contract_id or "", workspace_id)

    async def create(
        self, who: Principal, contract_id: str, new: Unvalidated[NewInvite]
    ) -> tuple[Invite, MadeLink | None]:
        """Invite somebody by email; mailers are told (`SetupLinkMaker`).

        Returns:
            The invite, and the link with which somebody without an account accepts it, if the caller may see it.

        Raises:
            ValidationFailed: a role is not available, or a workspace comes without roles or roles without one.
            RelatedNotFound: the contract has no such workspace.
            Forbidden: the caller may not manage the members of that workspace.
            AlreadyExists: the email has an invite, or is that of a member.
        """
        async with self._access.contract(who, contract_id, "contract-invite.create") as scope:
            require_editor(scope)
            wanted = new.validated()
            await refuse_taken(scope, "contract-invite", wanted.given_id)
            workspace = await _offer(scope, wanted.roles, wanted.workspace_id, wanted.workspace_roles)
            has_account = await _require_no_member(scope, wanted.email)
            try:
                invite = await ContractInvites(scope.unit).add(
                    contract_id, wanted.email, wanted.roles, workspace, wanted.made_id
                )
            except AlreadyExists:
                detail = "this email has already been invited"
                raise AlreadyExists(detail, pointer="/data/attributes/email") from None
            made = await self._setup_links.for_invite(scope.unit, who, invite, has_account=has_account)
            scope.audit_target("contract-invite", invite.id)
            if made is not None:
                scope.audit_target("setup-link", made.link.id)
            return invite, made

    async def send_again(self, who: Principal, contract_id: str, invite_id: str) -> MadeLink | None:
        """Tell mailers of an invite again, with a new link where its email has no account; an earlier link ends.

        Returns:
            The link, if the caller may see it.

        Raises:
            NotFound: the contract has no such invite.
            QuotaExceeded: the tenant has had as many mails sent today as it may.
        """
        async with self._access.contract(who, contract_id, "contract-invite.send-again") as scope:
            require_editor(scope)
            invite = await _there(scope, contract_id, invite_id, locked=True)
            found, _ = await UserRows(scope.unit).page(email=invite.email)
            made = await self._setup_links.for_invite(scope.unit, who, invite, has_account=bool(found))
            scope.audit_target("contract-invite", invite.id)
            if made is not None:
                scope.audit_target("setup-link", made.link.id)
            return made

    async def change(self, who: Principal, contract_id: str, invite_id: str, new: Unvalidated[ChangedInvite]) -> Invite:
        """Change what an invite offers, but not its email.

        Raises:
            NotFound: the contract has no such invite.
            ValidationFailed, RelatedNotFound, Forbidden: as in `create`.
        """
        async with self._access.contract(who, contract_id, "contract-invite.change") as scope:
            require_editor(scope)
            first = await _there(scope, contract_id, invite_id)
            wanted = new.validated()
            named = {wanted.workspace_id, None if first.workspace is None else first.workspace.id} - {None}
            for each in sorted(str(workspace_id) for workspace_id in named):
                await WorkspaceRows(scope.unit).hold(
                    each, exclusive=False
                )  # before the invite, as everybody who locks both
            invite = await _there(scope, contract_id, invite_id, locked=True)
            roles = wanted.roles if "roles" in wanted.named else invite.roles
            workspace_id = None if invite.workspace is None else invite.workspace.id
            workspace_roles = None if invite.workspace is None else invite.workspace.roles
            if "workspace_id" in wanted.named:
                workspace_id = wanted.workspace_id
            if "workspace_roles" in wanted.named:
                workspace_roles = wanted.workspace_roles
            elif workspace_id is None:
                workspace_roles = None
            workspace = await _offer(scope, roles, workspace_id, workspace_roles, judged=wanted.named)
            changed = replace(invite, roles=roles, workspace=workspace)
            await ContractInvites(scope.unit).change(changed)
            scope.audit_target("contract-invite", invite_id)
            return changed

    async def delete(self, who: Principal, contract_id: str, invite_id: str) -> None:
        """Revoke an invite.

        Raises:
            NotFound: the contract has no such invite.
        """
        async with self._access.contract(who, contract_id, "contract-invite.delete") as scope:
            require_editor(scope)
            await _there(scope, contract_id, invite_id)
            if not await ContractInvites(scope.unit).remove(invite_id):
                raise NotFound("there is no such invite")
            scope.audit_target("contract-invite", invite_id)


async def _there(scope: Scope, contract_id: str, invite_id: str, *, locked: bool = False) -> Invite:
    invite = await ContractInvites(scope.unit).find(contract_id, invite_id, locked=locked)
    if invite is None:
        raise NotFound("there is no such invite")
    return invite


async def _offer(
    scope: Scope,
    roles: Sequence[str],
    workspace_id: str | None,
    workspace_roles: Sequence[str] | None,
    *,
    judged: Collection[str] = _BOTH,
) -> WorkspaceInvite | None:
    """Judge what an invite offers; return its part in a workspace.

    Only roles in what is `judged` must be available. A change that does not name stored ones, which may not be
    available any more, is not refused for them: they are left out when the invite is accepted (decision 14).

    Roles in a workspace can be offered only by those who can give them: contract roles carry no rights inside
    workspaces (contract 6.3).

    Raises:
        ValidationFailed: a role is not available, or a workspace comes without roles or roles without one.
        RelatedNotFound: the contract has no such workspace.
        Forbidden: the caller may not manage the members of that workspace.
    """
    wrong = await wrong_roles(scope, "contracts", roles, _ROLES) if "roles" in judged else []
    if workspace_roles is not None:
        if "workspace_roles" in judged:
            wrong += await wrong_roles(scope, "workspaces", workspace_roles, _WORKSPACE_ROLES)
        if workspace_id is None:
            wrong.append(Problem("roles in a workspace need workspace_id", _WORKSPACE_ROLES))
    elif workspace_id is not None:
        wrong.append(Problem("a workspace needs workspace_roles", _WORKSPACE_ROLES))
    if wrong:
        raise ValidationFailed(*wrong)
    if workspace_id is None or workspace_roles is None:
        return None
    rows = WorkspaceRows(scope.unit)
    held = await rows.hold(workspace_id, exclusive=False)
    workspace = await rows.find(workspace_id) if held else None
    if workspace is None or workspace.contract_id != scope.place.contract_id:
        raise RelatedNotFound("the contract has no such workspace", pointer=_WORKSPACE)
    inside = await scope_of(scope.unit, scope.who, replace(scope.place, workspace_id=workspace_id), None)
    if not inside.allows(*EDIT_WORKSPACE_MEMBERS):
        raise Forbidden("you may not manage the members of this workspace", pointer=_WORKSPACE)
    return WorkspaceInvite(workspace_id, tuple(workspace_roles))


async def _require_no_member(scope: Scope, email: str) -> bool:
    """Insist that an email is not that of a member; nobody makes its user one until the transaction ends.

    Returns:
        Whether it is that of a user of the tenant. That it is another tenant's user's, nobody is told.

    Raises:
        AlreadyExists: it is.
    """
    users = UserRows(scope.unit)
    found, _ = await users.page(email=email)
    for user in found:
        await users.lock_to_delete(user.id)  # who adds a member refers to the user, so waits for this, or is seen
        if await ContractMembers(scope.unit).roles(scope.place.contract_id or "", user.id) is not None:
            raise AlreadyExists("a member already has this email", pointer="/data/attributes/email")
    return bool(found)
