"""Refusals to the letter: which member is the code and which the text, and where the address may be wrong."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth.refusal import refusal
from keyrack.oauth.wire import RawResponse


def told(body: Any, status: int = 400, **headers: str) -> ProviderError:
    members = body if isinstance(body, dict) else {}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(RawResponse(status, named, raw), members, "It did not work", [Secret("canary-1")])


REDIRECTS = ": it redirects (status {}), which is not followed; the address may be wrong or have moved"
NOT_THERE = ": nothing at this address takes it (status {}); check the address of the endpoint"
FIREWALL = ": a web page came back (status {}), perhaps of a firewall or from a wrong address"


@pytest.mark.parametrize(
    ("status", "page", "where"),
    [
        (400, False, ""),
        (299, False, ""),
        (300, False, REDIRECTS),
        (399, False, REDIRECTS),
        (404, False, NOT_THERE),
        (405, True, NOT_THERE),
        (400, True, FIREWALL),
        (200, True, ": a web page came back"),
        (0, True, ": a web page came back"),
    ],
)
def test_the_sentence_says_where_it_could_have_gone_wrong(status: int, page: bool, where: str) -> None:
    error = told(b"<html><title>No</title>" if page else b"", status)
    assert str(error) == f"It did not work{where.format(status)}."
    assert error.failure.is_page is page
    assert error.failure.status == (status or None)


@pytest.mark.parametrize(
    "body",
    [b"<!DOCTYPE  HTML><p>x", b"  <!-- c --> <html lang='en'>", b"<head>", b"<BODY class=x>", b"<HTML>"],
)
def test_a_page_is_known_by_its_beginning(body: bytes) -> None:
    assert told(body).failure.is_page
    assert not told(body.replace(b"<", b"&lt;")).failure.is_page


def test_a_page_is_known_by_its_label_if_it_is_markup() -> None:
    assert told(b"<div>x</div>", content_type="Text/HTML; charset=utf-8").failure.is_page
    assert not told(b"<div>x</div>", content_type="text/xml").failure.is_page
    assert not told(b"plain", content_type="text/html").failure.is_page


def test_the_words_of_a_page_are_its_title_or_heading() -> None:
    page = b"<html><title> </title><h1>Blocked</h1><h2>h</h2><p>p</p>"
    assert told(page).failure.error_description == "Blocked"
    assert told(page, 200).failure.error_description is None
    assert told(b"<html><title class='x'>No&nbsp;way</title>", 200).failure.error_description == "No way"
    assert told(b"<html><script>var p = '<p>x</p>'</script><h2>Sorry</h2>").failure.error_description == "Sorry"


def test_what_is_stated_as_the_error_is_told_as_the_code() -> None:
    assert told({"code": "c_1", "error": " stated "}).failure.error == "stated"
    assert told({"code": "c_1", "error": " "}).failure.error == "c_1"
    assert told({"error": "400"}).failure.error == "400"
    assert told({"error": "invalid_grant"}).failure.codes == ("invalid_grant",)


def test_a_word_is_told_before_a_number_and_both_are_codes() -> None:
    failure = told({"error_code": 190, "errorCode": "GRANT_GONE", "message": "It ended."}).failure
    assert (failure.error, failure.error_description) == ("GRANT_GONE", "It ended.")
    assert failure.codes == ("190", "GRANT_GONE")
    assert told({"error_code": -190}).failure.error == "-190"
    assert told({"error_code": True}).failure.codes == ()


def test_the_status_repeated_is_no_code() -> None:
    assert told({"code": 400, "status": "400", "error_code": "400"}).failure.codes == ()
    assert told({"code": 401, "status": "401"}).failure.codes == ("401", "401")


def test_further_codes_count_where_they_look_like_codes() -> None:
    assert told({"error": "e1", "suberror": "s1", "type": "two words", "reason": "r"}).failure.codes == ("e1", "s1")
    assert told({"category": "x" * 100}).failure.codes == ("x" * 100,)
    assert told({"category": "x" * 101}).failure.codes == ()
    assert told({"error": "x" * 101}).failure.codes == ()


def test_in_a_success_only_what_is_an_error_by_name_is_told_as_one() -> None:
    failure = told({"code": "c1", "status": "s1", "errcode": 40030}, 200).failure
    assert failure.error == "40030"
    assert failure.codes == ("40030", "c1", "s1")
    assert told({"code": "c1"}, 300).failure.error == "c1"
    assert told({"code": "c1"}, 299).failure.error is None


def test_a_text_that_only_repeats_the_code_is_not_told() -> None:
    failure = told({"error": "gone", "error_description": "gone", "message": "It is gone."}).failure
    assert (failure.error, failure.error_description) == ("gone", "It is gone.")


def test_errors_inside_others_are_found_three_deep() -> None:
    def inside(depth: int) -> Any:
        return {"errors": [inside(depth - 1)]} if depth else {"message": "deep"}

    assert told(inside(3)).failure.error_description == "deep"
    assert told(inside(4)).failure.error_description is None
    assert told({"errors": [{}] * 4 + [{"message": "fifth"}]}).failure.error_description == "fifth"
    assert told({"errors": [{}] * 5 + [{"message": "sixth"}]}).failure.error_description is None
    assert told({"fault": {"faultstring": "f", "detail": {"errorcode": "e.1"}}}).failure.codes == ("e.1",)


def test_a_list_of_errors_is_read_only_of_a_refusal() -> None:
    errors = [{"errorCode": "E1", "message": "one"}, "two"]
    assert told(errors).failure.codes == ("E1",)
    assert told(errors).failure.error_description == "one"
    assert told(errors, 200).failure.codes == ()
    assert told(["first"]).failure.error_description == "first"
    assert told("alone").failure.error_description == "alone"
    assert told(["x" * 64 * 1024]).failure.error_description is None
    assert told([0, 0, 0, 0, 0, {"message": "sixth"}]).failure.error_description is None
    assert told(b'["broken').failure.error_description is None


def test_xml_is_read_by_the_names_of_its_elements() -> None:
    body = b"<e:Fault xmlns:e='x'><e:ErrorCode>E.1</e:ErrorCode><message lang='en'>It &lt;ended&gt;</message></e:Fault>"
    assert set(told(body).failure.codes) == {"E.1"}
    assert told(body).failure.error_description == "It <ended>"
    assert told(body, 200).failure.codes == ()
    assert told(b"<x><code>two words</code></x>").failure.codes == ()


def test_plain_text_is_told_if_it_can_be_read() -> None:
    assert told(b"Token unknown").failure.error_description == "Token unknown"
    assert told(b"Token\nunknown").failure.error_description == "Token unknown"
    assert told(b"invalid_grant").failure.error == "invalid_grant"
    assert told(b"Token unknown", 200).failure.error_description is None
    assert told(b"HTTP/1.1 200 OK\r\nSet-Cookie: x").failure.error_description is None
    assert told(b"\xff" * 2 + b"a" * 17).failure.error_description is None
    assert told(b"\xff" * 2 + b"a" * 18).failure.error_description is not None


@pytest.mark.parametrize(
    ("header", "code", "text"),
    [('Bearer error="invalid_token", error_description="It \\"ended\\""', "invalid_token", 'It "ended"'),
     ("Bearer error=invalid_token,error_description=gone", "invalid_token", "gone"),
     ('Bearer realm="x"', None, None), ("", None, None)],
)  # fmt: skip
def test_a_header_says_what_a_body_does_not(header: str, code: str | None, text: str | None) -> None:
    failure = told(b"", 401, www_authenticate=header).failure
    assert (failure.error, failure.error_description) == (code, text)
    assert failure.codes == ((code,) if code else ())


def test_an_echo_of_what_was_sent_is_masked_and_an_address_is_shown() -> None:
    failure = told({"error": "e", "message": "canary-1 is wrong", "error_uri": "https://p.example/e"}).failure
    assert (failure.error_description, failure.error_uri) == ("*** is wrong", "https://p.example/e")
    assert told({"error": "e", "error_uri": "ftp://p.example/e"}).failure.error_uri is None
