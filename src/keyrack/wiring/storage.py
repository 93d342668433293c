"""Opens the database with its keys. Whoever needs only that imports no HTTP."""

from keyrack import clock
from keyrack.clock import Clock
from keyrack.crypto.kek.sources import open_keys
from keyrack.settings import Settings
from keyrack.store.core import engine
from keyrack.store.core.keyring import Keyring
from keyrack.store.core.private_files import require_private_home
from keyrack.store.core.store import Store


def open_store(settings: Settings, now: Clock = clock.now) -> Store:
    """Open the database of the settings with its keys. Connects to nothing yet.

    Raises:
        ConfigurationError: the database URL or the keys cannot be used, or others can look into the home folder.
    """
    require_private_home(settings.home)
    return Store(engine.open_database(settings), Keyring(open_keys(settings), now), now)
