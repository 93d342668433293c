"""Provider profiles played against their twins, one after another on one embedded Keyrack."""

import asyncio
from collections.abc import Iterable

from keyrack.conformance.installation import embedded_keyrack
from keyrack.conformance.play import played
from keyrack.conformance.report import Outcome, Report
from keyrack.oauth.profiles.model import ProviderProfile


def play_all(profiles: Iterable[ProviderProfile]) -> list[Report]:
    """Return what comes of each profile."""

    async def play() -> list[Report]:
        async with embedded_keyrack() as made:
            return [await played(made, profile) for profile in profiles]

    return asyncio.run(play())


def differing(reports: Iterable[Report]) -> dict[str, list[str]]:
    """Return what differs, by the name of the profile."""
    found = {each.name: [f"{step.name}: {line}" for step in each.steps for line in step.told] for each in reports}
    wrong = {each.name for each in reports if each.outcome is Outcome.differs}
    return {name: lines for name, lines in found.items() if name in wrong}


def refused(reports: Iterable[Report]) -> dict[str, str]:
    """Return why profiles cannot be played, by their names."""
    return {each.name: each.steps[0].told[0] for each in reports if each.outcome is Outcome.refused}
