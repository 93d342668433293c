"""Key-encryption keys from file and environment: mode, order, rotation, and every wrong one refused."""

import base64
import os
import stat
from pathlib import Path

import pytest

from keyrack.crypto.kek import local
from keyrack.crypto.kek.local import LocalKeys
from keyrack.crypto.kek.sources import open_keys
from keyrack.errors import ConfigurationError, WrongKey
from support.app import settings_for

OLD, NEW = b"o" * 32, b"n" * 32
CONTEXT, MATERIAL = b"context", b"m" * 32


def text(*keys: bytes, between: str = "\n") -> str:
    return between.join(base64.b64encode(key).decode() for key in keys)


def write(path: Path, content: str, mode: int = 0o600) -> None:
    path.write_text(content)
    path.chmod(mode)


async def test_wrapped_material_opens_with_the_same_key_and_context() -> None:
    keys = LocalKeys([OLD])
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    assert MATERIAL not in wrapped
    assert await keys.unwrap(kek_id, wrapped, CONTEXT) == MATERIAL
    assert (await keys.wrap(MATERIAL, CONTEXT))[1] != wrapped
    for wrong in ((kek_id, wrapped, b"another"), (kek_id, wrapped[:-1], CONTEXT), ("unknown", wrapped, CONTEXT),
                  (kek_id, b"", CONTEXT), (kek_id, wrapped[:12], CONTEXT)):  # fmt: skip
        with pytest.raises(WrongKey):
            await keys.unwrap(*wrong)


async def test_the_first_key_wraps_and_all_unwrap() -> None:
    old_id, wrapped = await LocalKeys([OLD]).wrap(MATERIAL, CONTEXT)
    both = LocalKeys([NEW, OLD])
    assert await both.unwrap(old_id, wrapped, CONTEXT) == MATERIAL
    new_id, newly = await both.wrap(MATERIAL, CONTEXT)
    assert new_id != old_id
    assert await LocalKeys([NEW]).unwrap(new_id, newly, CONTEXT) == MATERIAL
    for missing in ((LocalKeys([NEW]), old_id, wrapped), (LocalKeys([OLD]), new_id, newly)):
        with pytest.raises(WrongKey):
            await missing[0].unwrap(*missing[1:], CONTEXT)


def test_a_key_id_tells_nothing_of_the_key() -> None:
    assert OLD.hex()[:8] not in local.fingerprint(OLD)
    assert local.fingerprint(OLD) != local.fingerprint(NEW)


async def test_file_and_environment_hold_the_same_keys(tmp_path: Path) -> None:
    write(tmp_path / "key", text(NEW, OLD) + "\n\n")
    from_file = open_keys(settings_for(tmp_path))
    from_environment = open_keys(settings_for(tmp_path, key=text(NEW, OLD, between=", ")))
    kek_id, wrapped = await from_file.wrap(MATERIAL, CONTEXT)
    assert await from_environment.unwrap(kek_id, wrapped, CONTEXT) == MATERIAL


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601, 0o666, 0o777])
def test_a_key_file_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "key", text(OLD), mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_keys(settings_for(tmp_path))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_its_owner_is_read(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "key", text(OLD), mode)
    assert open_keys(settings_for(tmp_path))


@pytest.mark.parametrize(
    "content",
    ["", "\n", "canary-no-base64!", base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode(),
     text(OLD) + "\n" + base64.b64encode(b"short").decode(), "é"],
    ids=["empty", "blank", "no base64", "31 bytes", "33 bytes", "second short", "not ASCII"],
)  # fmt: skip
def test_a_malformed_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    write(tmp_path / "key", content)
    with pytest.raises(ConfigurationError) as raised:
        open_keys(settings_for(tmp_path))
    for word in content.split():
        assert word not in str(raised.value)
    assert str(tmp_path / "key") in str(raised.value)
    if content.strip():
        with pytest.raises(ConfigurationError, match="KEYRACK_KEY"):
            open_keys(settings_for(tmp_path, key=content))


@pytest.mark.parametrize("content", [" , ", "canary-no-base64!", base64.b64encode(b"x" * 31).decode()])
def test_a_malformed_key_of_the_environment_names_the_setting(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^KEYRACK_KEY ") as raised:
        open_keys(settings_for(tmp_path, key=content))
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("keys", [[], [b"x" * 31], [OLD, b"x" * 33]])
def test_only_keys_of_32_bytes_are_taken(keys: list[bytes]) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        LocalKeys(keys)


def test_no_key_file_is_a_wrong_key_and_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongKey, match="no key file"):
        open_keys(settings_for(tmp_path))
    (tmp_path / "key").mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_keys(settings_for(tmp_path))


def test_a_generated_key_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "a" / "new" / "key"
    assert local.generate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.read_bytes()
    assert not local.generate(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["key"], "no draft is left"
    assert len(base64.b64decode(before, validate=False)) == 32
    assert before.endswith(b"=\n")
    assert open_keys(settings_for(path.parent))


def test_a_draft_that_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    draft = tmp_path / f".key.{os.getpid()}"
    write(draft, "x" * 1000)
    assert local.generate(tmp_path / "key")
    assert open_keys(settings_for(tmp_path))
    assert not draft.exists()
