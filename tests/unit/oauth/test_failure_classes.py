"""What a refusal means for the grant: by the provider's own code, everybody's, its text, and last by its status."""

import pytest

from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.failure_classes import FailureClass, blames_client_alone, classify_failure

DEAD, CLIENT, LATER = FailureClass.GRANT_DEAD, FailureClass.CLIENT_REJECTED, FailureClass.TEMPORARY
ELSEWHERE, OTHER = FailureClass.NO_ENDPOINT, FailureClass.OTHER


def refused(status: int | None = 400, *codes: str, text: str | None = None, page: bool = False) -> ProviderError:
    failure = ProviderFailure(status=status, codes=codes, is_page=page, error_description=text)
    return ProviderError("The authorization server refused.", failure)


def test_what_cannot_answer_now_is_temporary_whatever_it_says() -> None:
    failure = ProviderFailure(status=503, codes=("invalid_grant",), error="invalid_grant")
    assert classify_failure(ProviderUnavailable("The authorization server cannot answer now.", failure)) is LATER


@pytest.mark.parametrize(
    ("code", "means"),
    [("invalid_grant", DEAD), ("invalid_client", CLIENT), ("server_error", LATER), ("invalid_request", OTHER)],
)
def test_a_known_code_counts_however_it_is_written(code: str, means: FailureClass) -> None:
    camel = "".join(word.title() for word in code.split("_"))
    for written in (code, code.upper(), f" {code} ", code.replace("_", "-"), code.replace("_", " "), camel,
                    camel[0].lower() + camel[1:]):  # fmt: skip
        assert classify_failure(refused(400, written)) is means
    assert classify_failure(refused(401, "unheard_of", code)) is means
    shown = ProviderError("The authorization server refused.", ProviderFailure(status=400, error=code))
    assert classify_failure(shown) is means


def test_the_first_known_code_counts() -> None:
    assert classify_failure(refused(400, "unheard_of", "invalid_client", "invalid_grant")) is CLIENT


@pytest.mark.parametrize(
    ("status", "page", "means"),
    [(401, False, CLIENT), (400, False, OTHER), (403, False, OTHER), (404, False, ELSEWHERE), (405, False, ELSEWHERE),
     (410, False, ELSEWHERE), (300, False, ELSEWHERE), (399, False, ELSEWHERE), (299, False, OTHER), (200, True, OTHER),
     (400, True, ELSEWHERE), (499, True, ELSEWHERE), (500, True, OTHER), (401, True, CLIENT), (None, False, OTHER)],
)  # fmt: skip
def test_without_a_code_the_status_counts(status: int | None, page: bool, means: FailureClass) -> None:
    assert classify_failure(refused(status, page=page)) is means


def test_a_word_that_says_nothing_is_no_code() -> None:
    for word in ("error", "Unauthorized", "false", "", "0"):
        assert classify_failure(refused(401, word)) is CLIENT
        assert classify_failure(refused(404, word)) is ELSEWHERE


def test_an_unknown_code_keeps_a_status_from_counting() -> None:
    assert classify_failure(refused(401, "unheard_of")) is OTHER
    assert classify_failure(refused(404, "unheard_of")) is OTHER
    assert classify_failure(refused(302, "unheard_of")) is ELSEWHERE


@pytest.mark.parametrize("text", ["Rate limit reached", "You made TOO MANY REQUESTS"])
def test_a_limit_told_as_a_refusal_is_temporary(text: str) -> None:
    assert classify_failure(refused(400, "access_denied", text=text)) is LATER
    assert classify_failure(refused(400, "invalid_grant", text=text)) is DEAD


def test_a_providers_own_code_counts_at_its_hosts_alone() -> None:
    for host in ("graph.facebook.com", "Facebook.COM.", "a.b.facebook.com", "api.instagram.com"):
        assert classify_failure(refused(400, "190"), host) is DEAD
        assert classify_failure(refused(400, "4"), host) is LATER
    for host in ("", "notfacebook.com", "facebook.com.example", "com"):
        assert classify_failure(refused(400, "190"), host) is OTHER


def test_a_providers_own_code_may_need_its_text() -> None:
    dead = refused(403, "unauthorized_client", text="Refresh_Token is invalid")
    assert classify_failure(dead, "auth.atlassian.com") is DEAD
    assert classify_failure(dead, "p.example") is CLIENT
    assert classify_failure(refused(403, "unauthorized_client", text="no"), "auth.atlassian.com") is CLIENT
    assert classify_failure(refused(403, "unauthorized_client"), "auth.atlassian.com") is CLIENT
    other = refused(403, "unheard_of", text="refresh_token is invalid")
    assert classify_failure(other, "auth.atlassian.com") is OTHER


def test_only_some_codes_blame_the_client_whichever_grant_it_was() -> None:
    assert blames_client_alone(refused(401, "Invalid-Client"))
    assert blames_client_alone(refused(400, "unheard_of", "bad_client_secret"))
    assert not blames_client_alone(refused(400, "unauthorized_client"))
    assert not blames_client_alone(refused(401))
