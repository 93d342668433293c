"""Keeps the key with which the console knows what it has put into a form itself; no browser knows it."""

from keyrack.store.core.store import Store
from keyrack.store.installation import Installation


class FormKey:
    """Stored encrypted, so that all processes have the same one, whichever data keys there are."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: bytes | None = None

    async def get(self) -> bytes:
        """Return it; the database is asked once in a process.

        Raises:
            WrongKey: the installation's data key cannot be unwrapped.
            KeyServiceUnavailable: the key service does not answer.
        """
        if self._key is None:
            async with self._store.installation() as unit:
                key = await Installation(unit).form_key()
            if key is None:
                async with self._store.installation(writes=True) as unit:
                    key = await Installation(unit).make_form_key()
            self._key = key
        return self._key
