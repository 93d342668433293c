"""Tells which processes run, which leases they hold and what requests they have under way, for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.model.operations import RunningProcess
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_GRANTS, require_operator
from keyrack.store.processes import Processes
from keyrack.store.refresh_queue import HeldLease, OpenRequest, RefreshQueueRows


@dataclass(frozen=True, slots=True)
class ProcessesAtWork:
    """The processes, and what they hold; without leases and requests for who may not see grants (None)."""

    processes: Sequence[RunningProcess]
    leases: Sequence[HeldLease] | None
    requests: Sequence[OpenRequest] | None


class ProcessOverview:
    """The processes of the whole installation, as far as they have told of themselves within the last minutes."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(self, who: Principal) -> Sequence[RunningProcess]:
        """List the processes.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
            return await Processes(scope.unit).list()

    async def at_work(self, who: Principal) -> ProcessesAtWork:
        """List the processes with what they hold.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
            processes = await Processes(scope.unit).list()
            if not scope.allows(SEE_GRANTS):
                return ProcessesAtWork(processes, None, None)
            rows = RefreshQueueRows(scope.unit)
            return ProcessesAtWork(processes, await rows.leases(), await rows.requests())
