"""An answer is on the disk before it counts: file first, then its name, then the folder, as the system is asked."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keyrack.store.spool import Spool, Spooled

# short, so that it fits into a buffer that somebody may forget to empty
ANSWER = Spooled("1" * 24, "2" * 24, b"sealed", datetime(2026, 1, 1, tzinfo=UTC))
NAME, PARTIAL = f"{ANSWER.attempt_id}.answer", f"{ANSWER.attempt_id}.partial"


class Recorder:
    """Notes what the system is asked, with how much of a file it has been given by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str, int | None]] = []
        self.fails_at = ""
        """The name of a file or folder whose fsync fails."""
        fsync, replace, rename = os.fsync, os.replace, os.rename

        def record_fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.asked.append(("fsync", path.name, path.stat().st_size if path.is_file() else None))
            if path.name == self.fails_at:
                raise OSError(errno.EIO, "no disk")
            fsync(descriptor)

        def record_move(real: Any) -> Any:
            def move(source: Any, target: Any, **more: Any) -> None:
                self.asked.append(("rename", f"{Path(source).name} {Path(target).name}", None))
                real(source, target, **more)

            return move

        monkeypatch.setattr(os, "fsync", record_fsync)
        monkeypatch.setattr(os, "replace", record_move(replace))
        monkeypatch.setattr(os, "rename", record_move(rename))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_file_is_forced_to_disk_whole_then_named_then_its_folder_is_forced(
    tmp_path: Path, recorder: Recorder, is_new: bool
) -> None:
    spool = Spool(tmp_path / "spool")
    if not is_new:
        spool.folder.mkdir()
    spool.put(ANSWER)
    size = (spool.folder / NAME).stat().st_size
    assert size > len(ANSWER.sealed)
    assert recorder.asked == [
        ("fsync", tmp_path.name, None),  # a folder that was just made is lost in a power cut, with all that is in it
        ("fsync", PARTIAL, size),
        ("rename", f"{PARTIAL} {NAME}", None),
        ("fsync", "spool", None),
    ]
    assert spool.all() == [ANSWER]


@pytest.mark.parametrize("fails_at", ["home", PARTIAL, "spool"])
def test_an_answer_that_is_not_certainly_on_the_disk_is_refused(
    tmp_path: Path, recorder: Recorder, fails_at: str
) -> None:
    spool = Spool(tmp_path / "home" / "spool")
    recorder.fails_at = fails_at
    with pytest.raises(OSError, match="no disk"):
        spool.put(ANSWER)
    assert not (spool.folder / PARTIAL).exists()
    assert spool.all() == ([ANSWER] if fails_at == "spool" else [])
