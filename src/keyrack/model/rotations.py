"""A client's secret while it is exchanged for another: which one is used, and what came of trying the new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RotatedClient:
    """Which client it is: its type as a resource, whose it is (empty: the installation's), and its id."""

    kind: str
    tenant_id: str
    id: str


class RotationState(StrEnum):
    """Which of a client's two live secrets is used; the other one is tried where the provider refuses that."""

    trying = "trying"
    """The old one is used; the new one is being tried on a sample of connections."""
    rolled_back = "rolled_back"
    """The old one is used, since the provider refused the new one, or somebody wants it so."""
    promoted = "promoted"
    """The new one is used."""


class TrialResult(StrEnum):
    """What came of one request with the new secret."""

    accepted = "accepted"
    refused = "refused"
    unclear = "unclear"
    """The provider gave no answer, or one that says nothing of the secret."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One request with the new secret.

    Attributes:
        at: when.
        result: what came of it.
        error: the provider's code, or why there is none; None: it was accepted.
        secret_id: of the connection that was refreshed; None: nothing was, the client alone was tried.
    """

    at: datetime
    result: TrialResult
    error: str | None = None
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecretRotation:
    """The rotation of one client's secret.

    Attributes:
        state: which secret is used.
        began_at: when the new secret was added.
        changed_at: when the state changed last.
        sample: how many connections the new secret is tried on.
        trials: what was tried since the state changed last, the latest at the end.
        misses: how often in a row trying led to nothing; it waits longer each time.
        other_expires_at: when the secret that is not used ends, if somebody has said.
        retires_at: when the old secret is forgotten by itself; None: as long as the new one is not used.
    """

    state: RotationState
    began_at: datetime
    changed_at: datetime
    sample: int
    trials: tuple[Trial, ...] = ()
    misses: int = 0
    other_expires_at: datetime | None = None
    retires_at: datetime | None = None

    @property
    def accepted(self) -> int:
        """How often the provider took the new secret since it last refused it."""
        results = [trial.result for trial in self.trials]
        if TrialResult.refused in results:
            results = results[len(results) - results[::-1].index(TrialResult.refused) :]
        return results.count(TrialResult.accepted)

    @property
    def tried_on(self) -> Sequence[str]:
        """Ids of the connections that were tried since the client alone was: when all were, it is its turn again."""
        ids = [trial.secret_id for trial in self.trials]
        if None in ids:
            ids = ids[len(ids) - ids[::-1].index(None) :]
        return [each for each in ids if each is not None]
