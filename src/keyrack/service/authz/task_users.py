"""Limits task users, the identity of a running step (contract section 2), to what is listed here.

A task user's key is held by every step of a flow, also by those of foreign components, so a task user belongs to no
contract and no workspace and holds no role. In its own workspace it holds `PERMISSIONS`; beyond that an operation is
open to it only if the operation names one of the doors below. An operation that says nothing about task users is closed
to them.
"""

from dataclasses import dataclass

from keyrack.errors import Forbidden
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.store.directory import Location

PERMISSIONS = frozenset(
    {
        "workspaces.auth_secret.get",  # 15.2
        "workspaces.auth_secret.get_credentials",
        "workspaces.auth_secret.refresh",  # 15.3
        "workspaces.auth_clients.get",  # 14.1; their credentials stay hidden, see `auth_client_reach`
    }
)
"""What holds in its own workspace, and nowhere else."""


@dataclass(frozen=True, slots=True)
class TaskUserAccess:
    """An operation that is open to task users.

    Attributes:
        permissions: what holds inside this operation besides `PERMISSIONS`, and not in any other.
    """

    permissions: frozenset[str] = frozenset()


_KEYS = frozenset({"workspaces.credential.edit"})

READ_WORKSPACE = TaskUserAccess()  # section 10: its own
READ_CONTRACT = TaskUserAccess()  # section 10: that of its workspace
READ_FLOWS = TaskUserAccess()  # section 17: those of its workspace
READ_COMPONENTS = TaskUserAccess()  # section 13: those that flows of its workspace name
READ_AUTH_CLIENTS = TaskUserAccess()  # 14.1: the global ones, which a list without a scope is about
READ_CREDENTIALS = TaskUserAccess(_KEYS)  # section 16: those of its workspace, with keys
READ_STEP = TaskUserAccess(_KEYS)  # 18.3
HAND_BACK_KEYS = TaskUserAccess(_KEYS)  # 18.3


def is_task_user(who: Principal) -> bool:
    """Tell whether the caller is a running step."""
    return who.kind is PrincipalKind.task_user


def own_place(who: Principal) -> Location:
    """Return the workspace a task user's flow is in.

    Raises:
        Forbidden: it is in none, so there is nothing that the caller reaches.
    """
    if not (who.tenant_id and who.contract_id and who.workspace_id):
        raise Forbidden
    return Location(who.tenant_id, who.contract_id, who.workspace_id)
