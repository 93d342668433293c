"""Issues and checks keys of task users, the steps of a running flow (contract section 2, 0.16)."""

from dataclasses import dataclass, field

from keyrack.crypto.secret import Secret
from keyrack.errors import NotFound, StateConflict
from keyrack.model.flows import FlowStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access import Access, Scope
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.store.accounts import ApiKeys
from keyrack.store.flows import FlowRows
from keyrack.store.identities import task_user_name

_CREATE = "global.task_keys.create"


@dataclass(frozen=True, slots=True)
class TaskKey:
    """What a container of a flow signs in with; shown once."""

    username: str
    api_key: Secret = field(repr=False)


class TaskKeys:
    """For the platform's runner."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, flow_id: str) -> TaskKey:
        """Make a key for the steps of an active flow.

        A flow may have several: containers that take over from others come with their own. All are gone when the flow
        stops or is deleted.

        Raises:
            NotFound: there is no such flow, or the caller does not see it.
            Forbidden: the caller is no service account with `global.task_keys.create`.
            ContractSuspended: the flow's contract is suspended.
            StateConflict: the flow is not active.
        """
        async with self._access.by_resource(who, "flow", flow_id, "task-key.create", key=_CREATE) as scope:
            is_service = who.kind is PrincipalKind.service_account
            scope.require_that(is_service, "only a service account can make keys for steps")
            scope.require(_CREATE)
            await FlowRows(scope.unit).lock_to_change(flow_id)  # a flow that stops meanwhile takes this key with it
            await _require_running(scope, flow_id)
            api_key = new_api_key()
            await ApiKeys(scope.unit).add(PrincipalKind.task_user, flow_id, "step", key_hash(api_key), None)
            scope.audit_target("flow", flow_id)
            return TaskKey(task_user_name(flow_id), api_key)


async def _require_running(scope: Scope, flow_id: str) -> None:
    flow = await FlowRows(scope.unit).find(flow_id)
    if flow is None:
        raise NotFound
    if flow.status is not FlowStatus.active:
        raise StateConflict("the flow is not active; start it first")
