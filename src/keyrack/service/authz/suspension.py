"""Refuses writes in a suspended contract and its workspaces (contract section 9).

`keyrack.service.authz.access` asks here whenever an operation enters; no use case has a check of its own.
"""

from keyrack.errors import NotFound
from keyrack.store.contracts import ContractRows
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from keyrack.store.workspaces import WorkspaceRows

ACTIVE, SUSPENDED = "active", "suspended"

OPEN = frozenset(
    {
        "flow.delete",
        "contract.suspend",  # of one that is suspended: changes nothing
        "contract.unsuspend",
        "contract.delete",
        "runtime-env.read",  # reads, and is written down all the same
        "auth-client.diagnose",  # likewise
    }
)
"""The actions, as the audit log calls them, that go on in a suspended contract."""


async def hold(unit: Unit, place: Location, *, exclusive: bool = False) -> str | None:
    """Keep a place's contract and workspace as they are until the transaction ends; return the contract's status.

    Whoever writes in them holds them, so who suspends or deletes one (`exclusive`) waits for those that write, and
    those that come later wait for it and find out. On SQLite a unit that writes has the whole database to itself.

    Args:
        unit: a writing one of the place's tenant.
        place: where it writes.
        exclusive: for changing or deleting the contract or workspace itself.

    Returns:
        None where the place is in no contract.

    Raises:
        NotFound: the contract or workspace is gone.
    """
    if place.contract_id is None:
        return None
    in_workspace = place.workspace_id is not None
    status = await ContractRows(unit).hold(place.contract_id, exclusive=exclusive and not in_workspace)
    if status is None:
        raise NotFound("there is no such contract")
    if place.workspace_id is not None and not await WorkspaceRows(unit).hold(place.workspace_id, exclusive=exclusive):
        raise NotFound("there is no such workspace")
    return status


async def is_closed(unit: Unit, place: Location, action: str | None, precheck: str | None, *, exclusive: bool) -> bool:
    """Tell whether an operation is refused because the contract is suspended; a writing one also holds the place.

    Args:
        unit: of the place's tenant.
        place: where the operation is.
        action: what is done, as the audit log calls it; None: something is read,
        precheck: which prepares this action; None: nothing.
        exclusive: as of `hold`.

    Raises:
        NotFound: the place is gone since it was located.
    """
    if action is not None:
        return await hold(unit, place, exclusive=exclusive) == SUSPENDED and action not in OPEN
    return precheck is not None and precheck not in OPEN and await is_suspended(unit, place)


async def is_suspended(unit: Unit, place: Location) -> bool:
    """Tell whether a place is in a contract that is suspended at this moment."""
    contract = await ContractRows(unit).find(place.contract_id or "")
    return contract is not None and contract.status == SUSPENDED
