"""Files that are none, were cut off, or are meant to hurt end an import with an error that says where (decision 52)."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from keyrack.errors import BadRequest, ConfigurationError
from keyrack.service.importers.other_systems.json_objects import DEEPEST, LONGEST, objects
from keyrack.service.importers.other_systems.nango_export import NangoExport
from keyrack.service.importers.other_systems.profiles import Profiles
from keyrack.service.importers.other_systems.target import read_mapping
from support.app import World
from support.bringing import bring
from support.nango import config, connection


def read(text: str | bytes) -> list[Any]:
    content = text.encode() if isinstance(text, str) else text
    return [found.value for found in objects(io.BytesIO(content))]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1}\n{"a":2}\n',
        '[{"a":1},{"a":2}]',
        ' [\r\n {"a": 1} ,\n\t{"a": 2} ] \n',
        '\ufeff{"a":1}{"a":2}',
        '{"a":1},{"a":2}',
    ],
)
def test_an_array_and_one_after_another_are_the_same(text: str) -> None:
    assert read(text) == [{"a": 1}, {"a": 2}]


def test_nothing_is_nothing() -> None:
    assert read("") == read("[]") == read(" \n") == []


DEEP = '{"a":' * (DEEPEST + 5) + "1" + "}" * (DEEPEST + 5)
VERY_DEEP = '{"a":' + "[" * 100_000
LONG = '{"a":"' + "x" * (LONGEST + 10) + '"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a":1},{"a":', "object 2"),
        ('[{"a":1}', "cut off"),
        ("[1]", "object 1"),
        ("5", "object 1"),
        ('[{"a":1}] {"b":2}', "follows the array"),
        ('{"a":1}\n{oops}', "object 2"),
        ('{"a":NaN}', "object 1"),
        (DEEP, "deeper than"),
        (VERY_DEEP, "object 1"),
        (LONG, "longer than"),
        ('{"a":' + "9" * 5000 + "}", "object 1"),
        (b'{"a":"\xff\xfe"}', "UTF-8"),
        ("PK\x03\x04", "object 1"),
    ],
)
def test_what_is_wrong_is_told_by_its_number_and_not_shown(text: str | bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        read(text)
    assert "oops" not in str(refused.value)


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        """Many objects that are never all there."""

        def __init__(self, count: int) -> None:
            self.left = count

        def read(self, size: int = -1) -> bytes:
            del size
            self.left -= 1
            return b"" if self.left < 0 else (json.dumps(connection()) + "\n").encode() * 20

    def peak(count: int) -> int:
        tracemalloc.start()
        seen = 0
        for _ in objects(cast("BinaryIO", Endless(count))):
            seen += 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == count * 20
        return most

    assert peak(120) < peak(12) * 2


async def test_what_came_before_the_fault_is_kept(keyrack: World, tmp_path: Path) -> None:
    file = tmp_path / "n"
    text = "\n".join(json.dumps(each) for each in [config(), connection()])
    file.write_text(text + "\n{oops}")
    system = NangoExport(Profiles("nango"))
    with pytest.raises(BadRequest, match="object 3"):
        await bring(keyrack, system, file)
    file.write_text(text)
    assert (await bring(keyrack, system, file)).fates["auth-secret crm/customer-1"] == "made"


OF_CRM = {"connection_id": "c", "provider_config_key": "crm"}


VALUES: list[dict[str, Any]] = [
    {"unique_key": ["x"], "provider": {}},
    {"unique_key": "x" * 100_000},
    {"unique_key": "a\u0000b", "provider": "hubspot"},
    {"connection_id": 5, "provider_config_key": None},
    {**OF_CRM, "credentials": "text"},
    {**OF_CRM, "credentials": {"type": "OAUTH2", "access_token": "a\u0000"}},
    {**OF_CRM, "credentials": {
        "type": "OAUTH2", "access_token": "a", "expires_at": "9999-99-99", "raw": {"a": "\ud800"}}},
    {**OF_CRM, "environment_id": {}, "connection_config": [1], "credentials": {
        "type": "OAUTH2", "access_token": "a", "refresh_token": [], "raw": [1]}},
    {**OF_CRM, "updated_at": 10**300, "credentials": {
        "type": "OAUTH2", "access_token": "a", "expires_at": -(10**30)}},
]  # fmt: skip


async def test_values_of_any_type_are_left_out_or_ignored(keyrack: World, tmp_path: Path) -> None:
    file = tmp_path / "n"
    for number, value in enumerate(VALUES):
        fine = connection(f"fine-{number}")
        file.write_text("\n".join(json.dumps(each) for each in [config(), value, fine]))
        found = await bring(keyrack, NangoExport(Profiles("nango")), file)
        assert found.fates[f"auth-secret crm/fine-{number}"] == "made"


@pytest.mark.parametrize("text", ["[clients", "[clients]\ncrm = 5", '[connections."a"]\nplace = "x"', "x = 1", "\x00"])
def test_a_mapping_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ConfigurationError):
        read_mapping(tmp_path / "m.toml")


def test_profiles_of_a_folder_count_first_and_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "hubspot.json").write_text('{"name": "mine"}')
    (tmp_path / "secret.json").write_text('{"name": "stolen"}')
    found = Profiles("nango", {"mine": "hubspot"}, tmp_path / "p")
    assert found.of("hubspot") == found.of("mine") == {"name": "mine"}
    assert found.of("slack") == "slack"
    assert found.of("../secret") is None
    assert found.of("") is None
    (tmp_path / "p" / "odd.json").write_text("[]")
    with pytest.raises(ConfigurationError):
        found.of("odd")


def test_an_object_knows_its_place() -> None:
    assert [found.number for found in objects(io.BytesIO(b'{"a":1} {"b":2}'))] == [1, 2]
