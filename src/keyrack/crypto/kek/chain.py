"""Several sources of key-encryption keys at once, such as during a move: the first wraps, all unwrap."""

from collections.abc import Sequence

from keyrack.crypto.kek import KeyEncryptionKey, unwraps
from keyrack.errors import ConfigurationError, WrongKey


class KeyChain:
    """Key sources in order.

    Args:
        sources: at least one.
    """

    def __init__(self, sources: Sequence[KeyEncryptionKey]) -> None:
        if not sources:
            raise ConfigurationError("no source of key-encryption keys is set")
        self._sources = tuple(sources)

    @property
    def current(self) -> str:
        """The id of the key that wraps."""
        return self._sources[0].current

    @property
    def ids(self) -> Sequence[str]:
        """What can be unwrapped with."""
        return tuple(known for source in self._sources for known in source.ids)

    @property
    def is_remote(self) -> bool:
        """Whether a call may go to a key service."""
        return any(source.is_remote for source in self._sources)

    @property
    def has_failed(self) -> bool:
        """Whether the last call to the service that wraps got no answer, or a refusal."""
        return self._sources[0].has_failed

    @property
    def sources(self) -> Sequence[KeyEncryptionKey]:
        """The sources, the one that wraps first."""
        return self._sources

    async def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the first source.

        Raises:
            KeyServiceUnavailable: its service does not answer, or refuses.
        """
        return await self._sources[0].wrap(material, context)

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key with the source that has the key.

        Raises:
            WrongKey: no source has it, or it did not wrap this.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        for source in self._sources:
            if unwraps(source.ids, kek_id):
                return await source.unwrap(kek_id, wrapped, context)
        for source in self._sources:
            if not source.is_remote:  # a file may have got the key meanwhile
                await source.refresh()
                if unwraps(source.ids, kek_id):
                    return await source.unwrap(kek_id, wrapped, context)
        raise WrongKey(f"{WrongKey().problem.detail} A data key is wrapped with {kek_id}, which is no key at hand.")

    async def refresh(self, *, services: bool = True) -> None:
        """Learn which key wraps now.

        Args:
            services: whether the service that wraps is called; else only files are looked at.

        Raises:
            ConfigurationError: a file cannot be used any more.
            KeyServiceUnavailable: the service that wraps does not answer, or refuses.
        """
        for source in self._sources[1:]:
            if not source.is_remote:
                await source.refresh()
        await self._sources[0].refresh(services=services)

    async def close(self) -> None:
        """Let go of what the sources hold open."""
        for source in self._sources:
            await source.close()
