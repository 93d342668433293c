"""What a callback says instead of granting access, in whichever of the spellings in use."""

import pytest

from keyrack.oauth.callback_error import callback_error


@pytest.mark.parametrize("name", ["error", "errorCode", "error_type", "oauth_problem", "error-reason", "ERROR_SUBCODE"])
def test_a_code_is_found_under_each_of_its_names(name: str) -> None:
    assert callback_error({"state": "s", name: "access_denied"}) == {"error": "access_denied"}


@pytest.mark.parametrize(
    "name",
    ["error_description", "errorMessage", "error_msg", "error_detail", "errorDetails", "error_text", "error_reason",
     "oauth_problem_advice", "errorSummary", "error-title"],
)  # fmt: skip
def test_a_text_is_found_under_each_of_its_names(name: str) -> None:
    assert callback_error({"error": "e", name: "The user said no."}) == {
        "error": "e",
        "error_description": "The user said no.",
    }


@pytest.mark.parametrize("name", ["error_uri", "errorUrl"])
def test_an_address_is_shown_if_it_is_one_of_the_web(name: str) -> None:
    assert callback_error({"error": "e", name: "https://p.example/e"})["error_uri"] == "https://p.example/e"
    assert "error_uri" not in callback_error({"error": "e", name: "javascript:x"})


def test_the_likeliest_name_counts_and_of_one_spelt_twice_the_first() -> None:
    assert callback_error({"error_reason": "r", "error_code": "c", "error": "e"}) == {
        "error": "e",
        "error_description": "r",
    }
    assert callback_error({"errorCode": "first", "error_code": "second"}) == {"error": "first"}
    assert callback_error({"error": " ", "error_code": "c"}) == {"error": "c"}


def test_a_word_is_not_told_twice() -> None:
    assert callback_error({"error_reason": "user_denied"}) == {"error": "user_denied"}


def test_a_denied_token_is_not_shown() -> None:
    assert callback_error({"denied": "canary"}) == {"error": "access_denied"}


def test_a_callback_that_grants_says_nothing() -> None:
    assert callback_error({"code": "c", "state": "s"}) == {}
