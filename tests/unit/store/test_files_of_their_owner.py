"""Folders and files that others could read or replace are refused, or made private where they are ours."""

import os
import stat
from pathlib import Path

import pytest

from keyrack.errors import ConfigurationError
from keyrack.store.core.private_files import make_private, require_own_folder, require_private_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("bits", [0o701, 0o710, 0o740, 0o704, 0o777])
def test_a_home_that_is_open_in_any_way_is_refused_with_the_remedy(tmp_path: Path, bits: int) -> None:
    tmp_path.chmod(bits)
    with pytest.raises(ConfigurationError) as raised:
        require_private_home(tmp_path)
    assert str(raised.value) == (
        f"the home folder {tmp_path} is open to others (mode {bits:04o}); run: chmod 700 {tmp_path}"
    )


def test_a_home_of_ones_own_or_none_is_fine(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    require_private_home(tmp_path)
    require_private_home(tmp_path / "none")
    require_own_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("bits", "refused"), [(0o755, False), (0o775, True), (0o757, True), (0o1777, False), (0o711, False)]
)
def test_a_folder_where_others_could_put_a_file_in_its_place_is_refused(
    tmp_path: Path, bits: int, refused: bool
) -> None:
    tmp_path.chmod(bits)
    if refused:
        with pytest.raises(ConfigurationError, match=f"run: chmod go-w {tmp_path}"):
            require_own_folder(tmp_path)
    else:
        require_own_folder(tmp_path)


def test_a_database_is_made_for_its_owner_alone_and_what_is_in_it_stays(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        make_private(tmp_path / "new")
    finally:
        os.umask(old)
    assert mode(tmp_path / "new") == 0o600
    assert (tmp_path / "new").read_bytes() == b""
    (tmp_path / "new").write_bytes(b"kept")
    make_private(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_database_and_what_lies_beside_it_are_closed_to_others(tmp_path: Path) -> None:
    names = ("db", "db-wal", "db-shm", "db-journal")
    for name in (*names, "db-other"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    make_private(tmp_path / "db")
    assert [mode(tmp_path / name) for name in names] == [0o600] * 4
    assert mode(tmp_path / "db-other") == 0o644


def test_a_database_that_cannot_be_made_is_left_to_sqlite_to_tell(tmp_path: Path) -> None:
    make_private(tmp_path / "no folder" / "db")


def test_what_is_open_and_not_ours_is_refused_and_what_is_gone_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("db", "db-wal", "db-journal"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    really = Path.chmod

    def chmod(path: Path, bits: int) -> None:
        if path.name == "db-wal":
            raise fault
        really(path, bits)

    monkeypatch.setattr(Path, "chmod", chmod)
    fault: OSError = FileNotFoundError()
    make_private(tmp_path / "db")
    assert mode(tmp_path / "db-journal") == 0o600
    fault = PermissionError()
    with pytest.raises(ConfigurationError, match=f"chmod 600 {tmp_path}/db-wal"):
        make_private(tmp_path / "db")
