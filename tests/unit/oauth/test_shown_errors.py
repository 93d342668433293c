"""What a provider said, fit to be shown: one line, bounded, without our secrets, and only where it is a text."""

import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.provider_text import error_meta, has_controls, printable, shown_error


@pytest.mark.parametrize("name", ["code", "type", "status"])
def test_an_object_in_place_of_a_code_is_read(name: str) -> None:
    assert error_meta({"error": {name: "E", "message": "gone"}}) == {"error": "E", "error_description": "gone"}
    assert error_meta({"error": {name: 7, "message": "gone"}}) == {"error_description": "gone"}


def test_the_first_text_of_such_an_object_counts_and_a_description_beside_it() -> None:
    told = error_meta(
        {"error": {"status": "s", "type": "t", "code": 7, "message": "inner"}, "error_description": "outer"}
    )
    assert told == {"error": "t", "error_description": "outer"}


def test_what_is_no_text_is_not_shown() -> None:
    assert shown_error(7, ["x"], None) == {}
    assert shown_error("", " \n", "") == {}
    assert shown_error("e", "d", "http://p.example/e") == {
        "error": "e",
        "error_description": "d",
        "error_uri": "http://p.example/e",
    }


def test_texts_are_bounded() -> None:
    told = shown_error("c" * 200, "d" * 600, "https://" + "u" * 600)
    assert [len(str(text)) for text in told.values()] == [100, 500, 500]


def test_a_text_becomes_one_line_without_what_cannot_be_seen() -> None:
    assert printable(" a\r\n\tb\x00\u202e\ud800 c ", 100) == "a b c"
    assert printable("abcdef", 3) == "abc"
    assert printable("x" * 20 + "canary", 26, [Secret("canary")]) == "x" * 20 + "***"
    assert printable("\x00" * 16 + "abc", 2) == ""
    assert printable("\x00" * 15 + "abc", 2) == "a"


def test_control_characters_and_lone_surrogates_are_found() -> None:
    for text in ("a\x00", "a\x1f", "\x7fa", "\x9f", "\ud800", "\udfff"):
        assert has_controls(text)
    for text in ("", "a b", "~", "\xa0", "\ue000", "\ud7ff"):
        assert not has_controls(text)


def test_an_error_echoes_nothing_that_was_sent() -> None:
    told = shown_error("canary", "no canary here", "https://p.example/canary", [Secret("canary")])
    assert told == {"error": "***", "error_description": "no *** here", "error_uri": "https://p.example/***"}
