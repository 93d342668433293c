"""Key-encryption keys: what wraps the tenants' data keys. Each source of keys is one module here (docs/keys.md)."""

from collections.abc import Iterable, Sequence
from typing import Protocol


class KeyEncryptionKey(Protocol):
    """Wraps and unwraps data keys. Asynchronous, because a key service is a network call away."""

    @property
    def current(self) -> str:
        """The id of the key that wraps; of a key service, its newest version, as far as `refresh` or a call told."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """What it can unwrap with: ids of keys, or names of keys of a service, whose versions' ids begin so."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether a call may go to a key service."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether the last call to the key service that wraps got no answer, or a refusal."""
        ...

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key; return the id of the key used and the wrapped bytes.

        Raises:
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        ...

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            WrongKey: this key did not wrap it.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        ...

    async def refresh(self, *, services: bool = True) -> None:
        """Learn which key wraps now: a file may have changed, a service may have a newer version.

        Args:
            services: whether key services are called; else only files are looked at.

        Raises:
            ConfigurationError: the file cannot be used any more.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds open."""
        ...


def unwraps(ids: Iterable[str], kek_id: str) -> bool:
    """Tell whether a process with these `KeyEncryptionKey.ids` can unwrap what a key wrapped."""
    return any(kek_id == known or kek_id.startswith((f"{known}/", f"{known}:")) for known in ids)
