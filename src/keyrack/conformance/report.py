"""What came of testing a profile, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyrack.errors import KeyrackError, ValidationFailed


class Outcome(StrEnum):
    """What came of a step, or of all steps of a profile."""

    held = "held"
    differs = "differs"
    nothing = "nothing"
    """There is nothing to do: the profile has no such step."""
    refused = "refused"
    """The profile asks for something that Keyrack does not do, not yet or never, and says so."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a profile.

    Attributes:
        name: `profile`, `consent`, `token`, `refresh`, `error` or `revoke`.
        outcome: what came of it.
        told: why there is nothing to do, or what differs and where to change it, a line each.
    """

    name: str
    outcome: Outcome
    told: Sequence[str] = ()


@dataclass(slots=True)
class Report:
    """What came of a profile.

    Attributes:
        name: of the profile.
        grant: how its tokens are got.
        steps: in the order in which they were done.
        requests: each request as the twin saw it, with secrets masked.
    """

    name: str
    grant: str
    steps: list[Step] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """`differs` if one step does, `refused` if nothing could be tested, else `held`."""
        found = {step.outcome for step in self.steps}
        return next((each for each in (Outcome.differs, Outcome.refused) if each in found), Outcome.held)

    @property
    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "name": self.name,
            "grant": self.grant,
            "outcome": self.outcome.value,
            "steps": [
                {"name": each.name, "outcome": each.outcome.value, "told": list(each.told)} for each in self.steps
            ],
            "requests": self.requests,
        }


def lines_of(error: KeyrackError) -> list[str]:
    """Return what an error says, a line each."""
    if isinstance(error, ValidationFailed):
        return [f"{each.detail} ({each.pointer})" if each.pointer else each.detail for each in error.problems]
    return [str(error)]
