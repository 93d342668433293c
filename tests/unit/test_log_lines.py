"""A line of the log is the same JSON whichever way it was written."""

from typing import Any

import pytest

from keyrack.crypto.secret import MASK, Secret
from keyrack.logs import _json
from keyrack.visible import json_text

EVENTS: dict[str, dict[str, Any]] = {
    "a request's": {"method": "GET", "path": "/v2/x", "status": 200, "ms": 0.1, "event": "request"},
    "with all plain kinds": {"a": True, "b": None, "c": 10**30, "d": -1.5, "e": ""},
    "with what JSON escapes": {"path": '/v2/\r\n\t\b\f\x01"\\/'},
    "with letters beyond ASCII": {"path": "/v2/é\u2028\U0001f511"},
    "with what a terminal obeys": {"path": "\x7f\x1b[2J"},
    "with half a surrogate pair": {"path": "\ud800"},
    "with a list": {"frames": ["a", "b"]},
    "empty": {},
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))
def test_it_is_written_as_json_text_writes_it(event: dict[str, Any]) -> None:
    assert _json(None, "info", dict(event)) == json_text(event)


def test_a_secret_is_masked() -> None:
    line = _json(None, "info", {"key": Secret("kr_clear")})
    assert MASK in line
    assert "kr_clear" not in line
