"""What protected resources say of themselves (RFC 9728, RFC 6750), read strictly."""

import json

import pytest

from keyrack.oauth.protected_resource import (
    BearerChallenge,
    ResourceMetadata,
    bearer_challenge,
    is_same_resource,
    metadata_addresses,
    process_resource_metadata,
    split_scope_exactly,
    without_trailing_slash,
)
from keyrack.oauth.wire import RawResponse

SERVER = "https://mcp.example.com/mcp"
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(("header", "expected"), [
    (f'Bearer error="insufficient_scope", scope="a b", resource_metadata="{METADATA}"',
     BearerChallenge("insufficient_scope", ("a", "b"), METADATA)),
    ("Bearer", BearerChallenge()),
    ("bearer scope=one", BearerChallenge(scopes=("one",))),
    ('Basic realm="x", Bearer scope="a,b", Digest scope="no"', BearerChallenge(scopes=("a,b",))),
    ('DPoP algs="ES256", error="insufficient_scope", scope="x"', BearerChallenge("insufficient_scope", ("x",))),
    (r'Bearer error_description="Say \"Bearer scope=evil\"", scope="a"', BearerChallenge(scopes=("a",))),
    ('Bearer scope="a", scope="b"', BearerChallenge(scopes=("a",))),
    ('Basic realm="Bearer scope=evil"', None),
    ("Negotiate abc", None),
    ("", None),
])  # fmt: skip
def test_the_challenge_of_a_refusal(header: str, expected: BearerChallenge | None) -> None:
    assert bearer_challenge(header) == expected


def test_scopes_are_taken_as_they_are_written_within_bounds() -> None:
    assert split_scope_exactly("a,b  c c") == ("a,b", "c")
    assert split_scope_exactly('good "bad" b\\ad b\u00e4d ' + "x" * 501) == ("good",)
    assert len(split_scope_exactly(" ".join(map(str, range(1000))))) == 200


def test_metadata_is_looked_for_at_the_path_and_then_at_the_origin() -> None:  # RFC 9728 section 3.1
    assert [each.url for each in metadata_addresses(f"{SERVER}/")] == [f"{METADATA}/mcp", METADATA]
    assert [each.url for each in metadata_addresses(f"{SERVER}?a=b")] == [f"{METADATA}/mcp?a=b", METADATA]
    assert [each.url for each in metadata_addresses("https://mcp.example.com")] == [METADATA]


@pytest.mark.parametrize(("resource", "address", "expected"), [
    (SERVER, SERVER, True), (f"{SERVER}/", SERVER, True), (SERVER, f"{SERVER}/", True),
    ("https://MCP.example.com:443/mcp", SERVER, True), ("https://mcp.example.com/", "https://mcp.example.com", True),
    ("https://mcp.example.com/", SERVER, False), ("https://mcp.example.com", f"{SERVER}?a=b", False),
    ("https://mcp.example.com/team", "https://mcp.example.com/team/mcp", False), (SERVER, f"{SERVER}?a=b", False),
    ("https://mcp.example.com/mc", SERVER, False), (f"{SERVER}/deeper", SERVER, False),
    ("https://mcp.example.com.evil.example/mcp", SERVER, False), ("http://mcp.example.com/mcp", SERVER, False),
    ("https://mcp.example.com:8443/mcp", SERVER, False), (f"{SERVER}#x", SERVER, False),
    (f"{SERVER}?a=b", SERVER, False), (f"{SERVER}?a=b", f"{SERVER}?a=b", True),
    ("https://mcp.example.com/x/../mcp", SERVER, False), ("https://[mcp", SERVER, False), ("", SERVER, False),
])  # fmt: skip
def test_a_resource_speaks_for_itself_alone(resource: str, address: str, expected: bool) -> None:
    assert is_same_resource(resource, address) is expected


def answer(document: object, status: int = 200) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(document).encode())


def test_metadata_counts_only_for_the_address_that_was_asked_for() -> None:  # RFC 9728 section 3.3
    document = {"resource": SERVER, "authorization_servers": [f"https://as{n}.example" for n in range(9)]}
    read = process_resource_metadata(answer({**document, "scopes_supported": ["a", "b c", 7]}), SERVER)
    assert read == ResourceMetadata(SERVER, tuple(f"https://as{n}.example" for n in range(5)), ("a",))
    assert process_resource_metadata(answer({"resource": SERVER}), SERVER) == ResourceMetadata(SERVER, ())
    for wrong in (answer(document, 404), answer({**document, "resource": 7}), answer([]), answer({})):
        assert process_resource_metadata(wrong, SERVER) is None
    assert process_resource_metadata(answer(document), "https://other.example.com/mcp") is None


def test_one_server_has_one_name() -> None:
    for spelling in ("https://MCP.example.com:443/", "https://mcp.example.com", "HTTPS://mcp.example.com/"):
        assert without_trailing_slash(spelling) == "https://mcp.example.com"
    assert without_trailing_slash(f"{SERVER}/") == f"{SERVER}/", "a path may mean another thing with a slash"
    assert without_trailing_slash("https://[mcp") == "https://[mcp"
