"""Key-encryption keys: what wraps the tenants' data keys. A key service is one more module beside `local`."""

from typing import Protocol


class KeyEncryptionKey(Protocol):
    """Wraps and unwraps data keys. Asynchronous, because a key service is a network call away."""

    @property
    def current(self) -> str:
        """The id of the key that wraps."""
        ...

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key; return the id of the key used and the wrapped bytes."""
        ...

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            WrongKey: this key did not wrap it.
        """
        ...
