"""Path and query of an address go out byte for byte as they are stored (contract 24.29)."""

from collections.abc import AsyncIterator

import pytest

from keyrack.oauth.uri import wire_uri
from keyrack.oauth.wire import QueryRequest
from keyrack.provider.client import ProviderClient
from keyrack.provider.outgoing import JsonPost
from support.raw_provider import LoopbackServers, http_answer, token_request

AS_THEY_ARE = [
    "/token",
    "/tenants/a%2Fb/token?next=%2Fhome%2Ftoken",
    "/%7Euser/%2D%2d%41/token?a=%2f&b=%2D",
    "/t;v=1/x:y@z/(a)*!$&',=+?filter[scope]=[a]&x[]=1",
    "/a/../b/./c/%2e%2E/token",
    "//double//token//?//",
    "/token?a=b+c&d=%20&&e&=f&g==",
    "/token?redirect=https://a.example/?b=c&d=/e?f",
    "/token?%5Bx%5D=%c3%bc&y=~-._",
]
COMPLETED = [
    ("", "/"),
    ("?a=b", "/?a=b"),
    ("/ü?ö=%C3%A4", "/%C3%BC?%C3%B6=%C3%A4"),
    ('/"<>^`|{}', "/%22%3C%3E%5E%60%7C%7B%7D"),
    ("/100%/%zz?a=%", "/100%25/%25zz?a=%25"),
]


@pytest.fixture
async def servers() -> AsyncIterator[LoopbackServers]:
    made = LoopbackServers()
    yield made
    await made.stop()


def targets(servers: LoopbackServers) -> list[str]:
    return [request.split(b" ", 2)[1].decode() for request in servers.requests]


async def test_every_kind_of_request_is_sent_to_the_address_as_it_is(servers: LoopbackServers) -> None:
    async with ProviderClient(allow_insecure=True, timeout=60) as client:
        for target in AS_THEY_ARE:
            servers.requests.clear()
            port = await servers.answer(*[http_answer()] * 3)
            base = f"http://127.0.0.1:{port}"
            await client.send(token_request(base + target))
            await client.send(JsonPost(base + target, b"{}"))
            await client.send(QueryRequest(base + target, (("q", "[/]"),)))
            mark = "&" if "?" in target else "?"
            assert targets(servers) == [target, target, f"{target}{mark}q=%5B%2F%5D"]


@pytest.mark.parametrize(("given", "sent"), [*COMPLETED, *((target, target) for target in AS_THEY_ARE)])
def test_only_what_no_uri_may_hold_is_encoded(given: str, sent: str) -> None:
    assert wire_uri(f"HTTPS://EXAMPLE.com:8443{given}") == f"https://example.com:8443{sent}"
    assert wire_uri(f"https://example.com{sent}") == f"https://example.com{sent}"


@pytest.mark.parametrize("text", ["", "/token", "example.com/a", "https://[::1/"])
def test_what_is_no_absolute_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are yarl's, in its own words
        wire_uri(text)
