"""Makes files and folders private to their owner: the home folder, and an embedded database's files."""

import contextlib
import os
import stat
from pathlib import Path

from keyrack.errors import ConfigurationError

_OPEN = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What SQLite makes beside a database, with the mode of the database's own file."""


def require_private_home(home: Path) -> None:
    """Insist that nobody else can look into the home folder, if there is one: it holds keys, tokens and answers.

    Raises:
        ConfigurationError: others can.
    """
    mode = _mode(home)
    if mode & _OPEN:
        shown = f"{stat.S_IMODE(mode):04o}"
        raise ConfigurationError(f"the home folder {home} is open to others (mode {shown}); run: chmod 700 {home}")


def require_own_folder(folder: Path) -> None:
    """Insist that nobody else can put files in the place of a database's.

    Raises:
        ConfigurationError: others can write there. In a folder with the sticky bit they cannot do that.
    """
    mode = _mode(folder)
    if mode & _WRITABLE and not mode & stat.S_ISVTX:
        raise ConfigurationError(f"the folder {folder} can be written by others; run: chmod go-w {folder}")


def make_private(database: Path) -> None:
    """See to it that a database's files exist and are their owner's alone (mode 0600), before SQLite opens them.

    Raises:
        ConfigurationError: others can use them, and they are not ours to change.
    """
    # only a file that is not there is opened: closing one would end all locks that this process has on it
    with contextlib.suppress(OSError):  # SQLite says why it cannot be made
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for companion in _COMPANIONS:
        path = database.with_name(database.name + companion)
        if _mode(path) & _OPEN:
            try:
                path.chmod(0o600)
            except PermissionError:
                raise ConfigurationError(f"the database file {path} is open to others; run: chmod 600 {path}") from None
            except FileNotFoundError:  # gone with the last connection of another process
                continue


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:  # what is not there, or out of reach, is told of by whoever needs it
        return 0
