"""Examines an installation from the machine it runs on, step by step: what an earlier step finds may end the rest."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from keyrack.clock import Clock
from keyrack.errors import ConfigurationError, DatabaseUnavailable, KeyrackError
from keyrack.logs import log_fault
from keyrack.provider.client import ProviderClient
from keyrack.service.operator.doctor import data, machine, network
from keyrack.service.operator.doctor.findings import Finding, Level, error, ok, warning
from keyrack.settings import PREFIX, Settings
from keyrack.store.core.store import Store

_SECONDS = 60.0
"""That one step may take; each has shorter times of its own."""

Step = Callable[[], Awaitable[Sequence[Finding]]]


def before_opening(settings: Settings, insecure: Iterable[tuple[str, str]]) -> list[Finding]:
    """Examine what can be examined without the database.

    Args:
        settings: as loaded.
        insecure: what a server would say of them as it starts: setting and reason.

    Raises:
        ConfigurationError: the database URL cannot be understood.
    """
    return [
        *machine.settings_findings(settings),
        *machine.insecure_findings(iter(insecure)),
        *machine.public_url_findings(settings),
        *machine.file_findings(settings),
        *machine.disk_findings(settings),
        *machine.spool_findings(settings),
    ]


def why_not_opened(settings: Settings) -> Finding | None:
    """Return why the database is not to be opened: that would make an embedded one, or change its files' modes."""
    path = machine.database_file(settings)
    if path is None:
        return None
    where = f"{PREFIX}HOME or {PREFIX}DATABASE_URL"
    if not path.is_file():
        return error("database", f"There is no database {path}.", "Correct the setting, or keyrack bootstrap.", where)
    if machine.database_is_open_to_others(settings):
        change = "Correct the modes of its files first, and ask again: opening it would do that by itself."
        return warning("database", "It was not opened, so as to change nothing.", change, str(path))
    return None


class InstallationDoctor:
    """Examines what needs the database and the network.

    Args:
        store: all data.
        provider: connects to providers.
        settings: as loaded.
        check_schema: raises `ConfigurationError` unless the schema is this program's.
        clock: the time.
    """

    def __init__(
        self,
        store: Store,
        provider: ProviderClient,
        settings: Settings,
        check_schema: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._provider = provider
        self._settings = settings
        self._check_schema = check_schema
        self._clock = clock

    async def examine(self) -> list[Finding]:
        """Return what is found."""
        settings, store = self._settings, self._store
        found = await self._database()
        if all(each.check not in ("database", "schema") or each.level is not Level.error for each in found):
            steps: dict[str, Step] = {
                "key": lambda: data.key_findings(store, self._clock),
                "worker": lambda: data.work_findings(store),
                "proxy": lambda: data.proxy_findings(store, settings.trusted_proxies),
                "outgoing": lambda: network.outgoing_findings(store, self._provider),
            }
            for check, step in steps.items():
                found += await _taken(check, step)
        found += await _taken("public_url", lambda: network.own_address_findings(settings, self._clock))
        found += await _taken("mail", lambda: network.mail_findings(settings))
        return found

    async def _database(self) -> list[Finding]:
        try:
            async with asyncio.timeout(_SECONDS):
                found = await data.database_findings(self._store, self._clock)
        except (DatabaseUnavailable, ConfigurationError) as fault:
            return [data.unreachable(fault)]
        except TimeoutError:
            return [error("database", "It gave no answer in time.", "See to the database.", f"{PREFIX}DATABASE_URL")]
        try:
            await self._check_schema()
        except ConfigurationError as fault:
            return [*found, error("schema", f"{fault.for_operators[0]}.", "Do what it says.", f"{PREFIX}DATABASE_URL")]
        return [*found, ok("schema", "The schema is this program's.")]


async def _taken(check: str, step: Step) -> list[Finding]:
    """Take a step; a fault in one is told as what was found of it, and the others are taken all the same."""
    try:
        async with asyncio.timeout(_SECONDS):
            return list(await step())
    except KeyrackError as fault:
        return [error(check, f"It could not be examined: {fault.for_operators[0]}", "See to that first.")]
    except TimeoutError:
        return [warning(check, "It took too long to examine.", "Ask again, and look at what is slow.")]
    except Exception as fault:  # noqa: BLE001 - what is unexpected here must not hide what else is found
        log_fault(fault, "a step of the examination failed")
        return [warning(check, "It could not be examined, for a fault that the log names.", "Report the fault.")]
