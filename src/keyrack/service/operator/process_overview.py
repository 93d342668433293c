"""Tells which processes run, which leases they hold and what requests they have under way, for the operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyrack.model.identity import Principal
from keyrack.model.operations import RunningProcess
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_GRANTS, require_operator
from keyrack.store.processes import Processes
from keyrack.store.refresh_queue import HeldLease, OpenRequest, RefreshQueueRows


@dataclass(frozen=True, slots=True)
class ProcessesAtWork:
    """The processes, and what they hold; without leases and requests for who may not see grants (None).

    Attributes:
        processes: those that were looked for.
        names: of all processes by their ids: the machine and the number there.
        leases: what those that were looked for hold.
        requests: what these have sent.
    """

    processes: Sequence[RunningProcess]
    names: Mapping[str, str]
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

    async def at_work(self, who: Principal, search: str = "") -> ProcessesAtWork:
        """List the processes with what they hold.

        Args:
            who: the caller.
            search: what the machine, its number there, its version, a role or its id must have in it; empty for all.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
            everything = await Processes(scope.unit).list()
            names = {each.id: process_name(each) for each in everything}
            found = [each for each in everything if _mentions(each, search.casefold())]
            if not scope.allows(SEE_GRANTS):
                return ProcessesAtWork(found, names, None, None)
            rows, owners = RefreshQueueRows(scope.unit), [each.id for each in found] if search else None
            return ProcessesAtWork(found, names, await rows.leases(owners), await rows.requests(owners))


def process_name(process: RunningProcess) -> str:
    """Return what operators call a process: its machine, and its number there."""
    return f"{process.host} / {process.pid}"


def _mentions(process: RunningProcess, part: str) -> bool:
    texts = (process_name(process), process.version, process.id, *process.roles)
    return any(part in text.casefold() for text in texts)
