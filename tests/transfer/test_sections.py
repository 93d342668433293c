"""An import file is read as a stream, whatever the order of its sections; what is no such file is refused whole."""

import io
import json
from typing import Any

import pytest

from keyrack.errors import ValidationFailed
from keyrack.service.importers.platform.format import SECTIONS
from keyrack.service.importers.platform.sections import FileSections
from keyrack.service.importers.platform.told_ids import ToldIds

HEAD = '"format":"keyrack-platform","version":1'


class Opened:
    """A file that counts how often it is opened."""

    def __init__(self, text: str) -> None:
        self.text, self.times = text, 0

    def __call__(self) -> io.BytesIO:
        self.times += 1
        return io.BytesIO(self.text.encode())


def all_of(file: FileSections) -> dict[str, list[Any]]:
    return {name: [json.loads(text) for text in texts] for name, texts in file.each()}


def test_sections_in_order_are_one_pass_and_others_one_each() -> None:
    found = {name: [{"id": f"{name}-{n}", "text": "}],"} for n in range(3)] for name in SECTIONS}
    ordered = Opened(json.dumps({"format": "keyrack-platform", "version": 1, "secrets": False, **found}, indent=1))
    file = FileSections(ordered)
    assert file.counts == dict.fromkeys(SECTIONS, 3)
    assert ordered.times == 1
    assert all_of(file) == found
    assert ordered.times == 2
    turned = dict(reversed(list(found.items())))
    other = FileSections(Opened(json.dumps({**turned, "version": 1, "format": "keyrack-platform"})))
    assert list(all_of(other).items()) == list(found.items())
    assert [json.loads(text)["id"] for text in other.of("teams")] == ["teams-0", "teams-1", "teams-2"]
    few = FileSections(Opened(f'{{{HEAD},"users":[{{"id":1}}],"flows":[]}}'))
    assert all_of(few) == {name: [{"id": 1}] if name == "users" else [] for name in SECTIONS}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", f"{{{HEAD}", f"{{{HEAD}}} x", f'{{{HEAD},"users":[{{}},]}}', f'{{{HEAD},"users":[{{}} {{}}]}}',
        f'{{{HEAD} "users":[]}}', f'{{{HEAD},"users":[{{"a":NaN}}]}}', f"{{{HEAD},5:[]}}", f'{{{HEAD},"users"[]}}',
        f'{{{HEAD},"users":[' + '{"a":' * 200_000, '{"format":"keyrack-platform","version":1,"users":[1,2',
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="is not a JSON object"):
        FileSections(Opened(text))


def test_all_that_is_wrong_with_the_members_is_told() -> None:
    with pytest.raises(ValidationFailed) as wrong:
        FileSections(Opened(f'{{"x":[{{}}],"users":5,"teams":[],"teams":[],{HEAD}}}'))
    said = {problem.pointer: problem.detail for problem in wrong.value.problems}
    assert said == {
        "/x": "is not a member of this format", "/users": "must be an array", "/teams": "stands twice",
    }  # fmt: skip


def test_ids_are_told_once_and_remembered_with_what_was_said() -> None:
    with ToldIds() as told:
        assert told.is_first("users", "a")
        assert not told.is_first("users", "a")
        assert told.is_first("auth_secrets", "a")
        assert told.said("auth_secrets", "a") is None
        told.say("auth_secrets", "a", ("w", "c"))
        assert told.said("auth_secrets", "a") == ("w", "c")
        assert told.said("users", "a") is None
