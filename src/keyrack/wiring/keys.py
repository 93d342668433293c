"""Builds the use cases of `keyrack keys` on a store."""

from dataclasses import dataclass

from keyrack.crypto.kek.chain import KeyChain
from keyrack.crypto.kek.sources import FILE, named_sources
from keyrack.service.operator.crypto_shredding import CryptoShredding
from keyrack.service.operator.key_retirement import KeyRetirement
from keyrack.service.operator.key_rotation import KeyRotation
from keyrack.service.operator.key_status import KeyReport, key_report
from keyrack.settings import Settings
from keyrack.store.core.store import Store
from keyrack.store.spool import Spool


@dataclass(frozen=True, slots=True)
class KeyCommands:
    """What an operator does with keys."""

    store: Store
    kek: KeyChain
    settings: Settings
    rotation: KeyRotation
    retirement: KeyRetirement
    shredding: CryptoShredding

    async def report(self) -> KeyReport:
        """Tell how the keys stand."""
        return await key_report(self.store, self.kek, named_sources(self.settings), self.retirement)


def build_key_commands(store: Store, settings: Settings) -> KeyCommands:
    """Build them on a store that `open_store` has opened."""
    kek, names = store.keyring.kek, named_sources(settings)
    assert isinstance(kek, KeyChain)  # noqa: S101 - `open_store` opens nothing else
    in_file = settings.effective_key_file if FILE in names else None
    return KeyCommands(
        store,
        kek,
        settings,
        KeyRotation(store, kek, in_file if names[0] == FILE else None),
        KeyRetirement(store, kek, in_file, Spool(settings.home / "spool")),
        CryptoShredding(store),
    )
