"""Shows texts that others chose on a terminal or in a log: as they are, but for characters that are not seen.

A terminal obeys control characters, and format characters change what a reader takes a text for. Neither leaves Keyrack
as it came: not in a table, a message, a line of the log or JSON.
"""

import json
import re
from typing import Any

_UNSEEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters (Cc), of both sets
    "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"  # spaces that are not the space
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format characters (Cf)
    "\u2028\u2029"  # ends of lines and paragraphs
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"  # not drawn
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff"  # surrogates, private use, no characters
    "]"
)
_LAST_OF_X, _LAST_OF_U = 0xFF, 0xFFFF


def visible(text: str) -> str:
    r"""Return a text in one line with unseen characters written as `\x1b`, `\u202e` or `\U000e0001`."""
    return _UNSEEN.sub(_escaped, text)


def visible_in(value: Any) -> Any:
    """Return a JSON value, or what a log line holds, with all its texts and names visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible_in(name): visible_in(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [visible_in(item) for item in value]
    return value


def json_text(value: Any, **more: Any) -> str:
    """Return a value as JSON in visible ASCII, whatever is in it; a reader of the JSON gets it back unchanged.

    Args:
        value: what to write.
        more: as `json.dumps` takes it.
    """
    return json.dumps(value, ensure_ascii=True, **more).replace("\x7f", "\\u007f")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= _LAST_OF_X:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_OF_U else f"\\U{code:08x}"
