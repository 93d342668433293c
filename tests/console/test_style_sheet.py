"""The console's style sheet is whole: a lost brace takes away all that stands behind it, and no page says so."""

import re

from keyrack.console.core.static_files import static_files


def test_every_block_ends_and_none_begins_inside_of_a_rule() -> None:
    (sheet,) = [content.decode() for name, (content, _) in static_files().items() if name.endswith(".css")]
    text = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    opened: list[str] = []
    for head, brace in re.findall(r"([^{}]*)([{}])", text):
        if brace == "}":
            assert opened, head
            opened.pop()
            continue
        assert not [each for each in opened if not each.startswith("@")], head
        opened.append(head.strip())
    assert opened == []
