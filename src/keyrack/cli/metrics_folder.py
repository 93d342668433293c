"""Makes the folder through which the processes of `keyrack serve --workers N` share their metrics."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyrack.exposition import SHARED_FOLDER
from keyrack.store.core.process_id import is_dead, node_id

_OWNER = "owner"


@contextmanager
def shared_metrics(home: Path) -> Iterator[None]:
    """Let the processes that are started in this block share their metrics; the folder goes when the block ends.

    Folders of servers that are gone without having cleaned up are removed as well.

    Args:
        home: the home folder; the shared ones are made in `metrics` in it, for their owner alone.

    Raises:
        OSError: nothing can be written there.
    """
    room = home / "metrics"
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    for owner in room.glob(f"*/{_OWNER}"):
        if is_dead(owner.read_text("utf-8")):
            shutil.rmtree(owner.parent, ignore_errors=True)
    folder = room / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / _OWNER).write_text(node_id(), "utf-8")
    os.environ[SHARED_FOLDER] = str(folder)
    try:
        yield
    finally:
        del os.environ[SHARED_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)
