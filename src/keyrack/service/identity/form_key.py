"""Keeps the key with which the console knows what it has put into a form itself; no browser knows it."""

from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store

_PURPOSE = "keyrack console forms"


class FormKey:
    """Made of the installation's data key, so that all processes have the same one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: bytes | None = None

    async def get(self) -> bytes:
        """Return it; the database is asked once in a process.

        Raises:
            WrongKey: the installation's data key cannot be unwrapped.
        """
        if self._key is None:
            async with self._store.installation() as unit:
                self._key = await unit.keyring.derived(unit.connection, INSTALLATION, _PURPOSE)
        return self._key
