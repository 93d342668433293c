"""What an operator watches of the whole installation: grants by state, refreshes by result, processes, circuits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keyrack.model.secrets import ErrorCode


class RefreshResult(StrEnum):
    """What became of a refresh, as it is counted by time and provider."""

    renewed = "renewed"
    """New tokens are stored."""
    reauthorization_required = "reauthorization_required"
    """The provider has ended the grant; its user has to connect again."""
    client_rejected = "client_rejected"
    """The provider rejects the auth client itself."""
    refused = "refused"
    """The provider refused without saying which of these it is, or sent what cannot be used."""
    unavailable = "unavailable"
    """The provider could not be reached, did not answer, or said that it cannot now."""
    held_back = "held_back"
    """Keyrack itself sent nothing: the provider's circuit was open, or no turn came in time."""
    unknown = "unknown"
    """The answer was lost on the way, so that nobody knows what became of the request."""


class GrantState(StrEnum):
    """What an operator counts grants by: the first three are told as `ready`, all others as `error`."""

    ready = "ready"
    failing = "failing"
    """Its token is still valid, but the last refresh failed."""
    paused = "paused"
    """Its token is still valid, but is not renewed: the provider rejects its auth client."""
    refresh_interrupted = ErrorCode.refresh_interrupted.value
    reauthorization_required = ErrorCode.reauthorization_required.value
    client_rejected = ErrorCode.client_rejected.value
    provider_refused = ErrorCode.provider_refused.value
    provider_unavailable = ErrorCode.provider_unavailable.value
    unsupported_token_type = ErrorCode.unsupported_token_type.value
    token_expired = ErrorCode.token_expired.value
    awaiting_cutover = ErrorCode.awaiting_cutover.value
    other = "other"
    """In error without a cause that is known, as when somebody set it so."""

    @property
    def is_error(self) -> bool:
        """Tell whether a caller is told `error`."""
        return self not in (GrantState.ready, *AT_RISK)


AT_RISK = (GrantState.failing, GrantState.paused)
"""Grants that still work, and will end in error if nothing changes."""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """How a process stands with a provider.

    Attributes:
        origin: scheme, host and port.
        circuit: `closed`, `half_open` or `open`.
        running: refreshes under way there.
    """

    origin: str
    circuit: str
    running: int


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a process says of itself every few seconds.

    Attributes:
        refreshing: secrets that it is refreshing.
        answers_in_memory: providers' answers that could be stored nowhere yet.
        answers_spooled: those that wait on its machine's disk.
        connections: to the database, in use.
        connections_most: the most there may be.
        circuits: of the providers that it calls or that fail; the worst first, and no more than are kept.
        keys: what it can unwrap data keys with: ids of key-encryption keys, or names of keys of a service.
        wraps_with: the id of the key-encryption key that it wraps new data keys with.
    """

    refreshing: int = 0
    answers_in_memory: int = 0
    answers_spooled: int = 0
    connections: int = 0
    connections_most: int = 0
    circuits: Sequence[CircuitState] = ()
    keys: Sequence[str] = ()
    wraps_with: str = ""


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process of the installation.

    Attributes:
        id: as leases name their holder.
        host: the name of its machine.
        pid: its number there.
        version: of Keyrack.
        roles: what it does: `api`, `worker`.
        state: what it said last.
        started_at: when it began.
        silent_seconds: since it was heard of.
    """

    id: str
    host: str
    pid: int
    version: str
    roles: Sequence[str]
    state: ProcessState
    started_at: datetime
    silent_seconds: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Tell whether it should have been heard of since, and so has probably been killed."""
        return self.silent_seconds > SILENT_SECONDS


SILENT_SECONDS = 20.0
"""After which a process that says nothing is taken to be gone; it says something every few seconds."""
