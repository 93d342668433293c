"""Invites into contracts, each for one email (contract section 9). One that was accepted is gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from keyrack.ids import new_id
from keyrack.model.tenancy import Invite, WorkspaceInvite
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import contract_invites, contracts
from keyrack.store.search_index import is_named
from keyrack.store.users import require_email
from keyrack.validation.emails import email_key

_i = contract_invites.c

_ONE = select(*_i).where(_i.contract_id == bindparam("contract"), _i.id == bindparam("id"))
_BY_ID = TenantQuery(contract_invites, _ONE)
_BY_ITSELF = TenantQuery(contract_invites, select(*_i).where(_i.id == bindparam("id")))
_LOCKED = TenantQuery(contract_invites, _ONE.with_for_update())
_OF_WORKSPACE = TenantQuery(
    contract_invites,
    select(*_i)
    .where(_i.contract_id == bindparam("contract"), _i.workspace_id == bindparam("workspace"))
    .order_by(_i.id),
    scans=True,
)
_REMOVAL = TenantChange(contract_invites, delete(contract_invites).where(_i.id == bindparam("id")))
_REMOVAL_BY_EMAIL = TenantChange(
    contract_invites,
    delete(contract_invites).where(_i.contract_id == bindparam("contract"), _i.email_key == bindparam("email")),
)


@dataclass(frozen=True, slots=True)
class OfferedInvite:
    """An invite as the person sees it who is invited.

    Attributes:
        invite: what is offered.
        contract: the name of the contract.
    """

    invite: Invite
    contract: str


class ContractInvites(TenantTable):
    """The invites of the unit's tenant that nobody has accepted yet."""

    table = contract_invites

    async def add(
        self,
        contract_id: str,
        email: str,
        roles: Sequence[str],
        workspace: WorkspaceInvite | None,
        made_id: str | None = None,
    ) -> Invite:
        """Invite somebody; the invite gets the given id if there is one.

        Raises:
            AlreadyExists: the contract has an invite for this email, or the id is taken.
            ValidationFailed: see `require_email`.
        """
        require_email(email)
        made = Invite(made_id or new_id(), self.unit.tenant_id, contract_id, email, tuple(roles), workspace)
        await self.insert(
            {
                "id": made.id,
                "contract_id": contract_id,
                "email": email,
                "email_key": email_key(email),
                "created_at": self.unit.clock(),
                **_offer(made),
            }
        )
        return made

    async def find(self, contract_id: str, invite_id: str, *, locked: bool = False) -> Invite | None:
        """Return an invite of a contract, or None.

        Args:
            contract_id: the contract.
            invite_id: the invite.
            locked: keep others from changing, deleting or accepting it until the transaction ends.
        """
        row = await self.ask_one(_LOCKED if locked else _BY_ID, contract=contract_id, id=invite_id)
        return None if row is None else _invite(row)

    async def by_id(self, invite_id: str) -> Invite | None:
        """Return an invite into whichever contract, or None."""
        row = await self.ask_one(_BY_ITSELF, id=invite_id)
        return None if row is None else _invite(row)

    async def page(
        self, contract_id: str, *, beginning: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[Invite], int]:
        """List a contract's invites by id, perhaps only to emails that begin so; return a page and the number."""
        i = contract_invites.c
        query = self.select().where(i.contract_id == contract_id).order_by(i.id)
        if beginning:
            query = query.where(i.email_key.startswith(email_key(beginning), autoescape=True))
        rows, total = await page_of(self.unit.connection, query, i.id, limit=limit, offset=offset)
        return [_invite(row) for row in rows], total

    async def of_workspace(self, contract_id: str, workspace_id: str) -> Sequence[Invite]:
        """List the invites into one of a contract's workspaces by id."""
        return [_invite(row) for row in await self.ask(_OF_WORKSPACE, contract=contract_id, workspace=workspace_id)]

    async def of_email(self, email: str) -> Sequence[Invite]:
        """List the invites of an email into all contracts, by contract."""
        i = contract_invites.c
        query = self.select().where(i.email_key == email_key(email)).order_by(i.contract_id)
        return [_invite(row) for row in await self.all(query)]

    async def offered_to(
        self, email: str, *, beginning: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[OfferedInvite], int]:
        """List the invites of an email with what their contracts are called, by contract; a page and the number.

        Args:
            email: whose they are.
            beginning: only into contracts in whose name a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        i = contract_invites.c
        query = self.select(*i, contracts.c.name.label("contract")).join(contracts, i.contract_id == contracts.c.id)
        query = query.where(i.email_key == email_key(email)).order_by(i.contract_id)
        if beginning:
            query = query.where(is_named("contract", i.contract_id, beginning))
        rows, total = await page_of(self.unit.connection, query, i.contract_id, limit=limit, offset=offset)
        return [OfferedInvite(_invite(row), row.contract) for row in rows], total

    async def change(self, invite: Invite) -> None:
        """Store what an invite offers."""
        await self.set_columns(invite.id, _offer(invite))

    async def remove(self, invite_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.make(_REMOVAL, id=invite_id) == 1

    async def remove_of(self, contract_id: str, email: str) -> None:
        """Delete the invite of an email into a contract, if there is one."""
        await self.make(_REMOVAL_BY_EMAIL, contract=contract_id, email=email_key(email))


def _offer(invite: Invite) -> dict[str, Any]:
    workspace = invite.workspace
    return {
        "roles": list(invite.roles),
        "workspace_id": None if workspace is None else workspace.id,
        "workspace_roles": None if workspace is None else list(workspace.roles),
    }


def _invite(row: "Row[Any]") -> Invite:
    workspace = None if row.workspace_id is None else WorkspaceInvite(row.workspace_id, tuple(row.workspace_roles))
    return Invite(row.id, row.tenant_id, row.contract_id, row.email, tuple(row.roles), workspace)
