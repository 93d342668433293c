"""HEAD answers wherever GET does: the same status and headers, no body (contract 0.22, RFC 9110 section 9.3.2)."""

import re

import httpx2
import pytest

from support.app import Caller
from support.tenancy.stage import Stage
from support.tenancy.table import CALLERS, PUBLIC, filled, rows

ROWS = list(rows())
READ = [row.path for row in ROWS if row.method == "GET"]
OF_EACH_ANSWER = {"x-request-id", "set-cookie"}
"""What is another value each time; of cookies, the names and attributes are compared."""
USES_THE_QUERY_UP = re.compile(r"/callback(/|$)")


def cookies_of(answer: httpx2.Response) -> list[str]:
    """Return the cookies of an answer, without their values."""
    return [re.sub("=[^;]*", "", cookie, count=1) for cookie in answer.headers.get_list("set-cookie")]


async def differences(who: Caller, path: str) -> list[str]:
    """Return how HEAD differs from GET in more than the body."""
    got, head = await who.get(path), await who.call("HEAD", path)
    wrong = [] if head.content == b"" else [f"{path}: has a body"]
    if head.status_code != got.status_code:
        wrong.append(f"{path}: {head.status_code} in place of {got.status_code}")
    wrong += [
        f"{path}: {name}: {head.headers.get(name)} in place of {got.headers.get(name)}"
        for name in {*got.headers, *head.headers} - OF_EACH_ANSWER
        if head.headers.get(name) != got.headers.get(name)
    ]
    if cookies_of(got) != cookies_of(head):
        wrong.append(f"{path}: {cookies_of(head)} in place of {cookies_of(got)}")
    # a list that is made while it is sent states no length, neither to GET nor to HEAD
    streamed = "content-length" not in got.headers and "content-length" not in head.headers
    if not streamed and head.headers.get("content-length") != str(len(got.content)):
        wrong.append(f"{path}: {head.headers.get('content-length')} is not the length of what GET answers")
    return wrong


@pytest.mark.parametrize("column", ["T", "I", "s", "B", "V"])
async def test_every_route_that_is_read_answers_head_to_whoever_may_or_may_not(stage: Stage, column: str) -> None:
    assert column in CALLERS
    stage.snapshot.restore()
    assert len(READ) > 40
    wrong = [
        what for path in READ for what in await differences(stage.callers[column], path.format_map(stage.mine.ids))
    ]
    assert wrong == []


async def test_who_has_no_good_key_gets_the_401_without_its_body(stage: Stage) -> None:
    who = stage.locked_out["no key"]
    wrong = [what for path in READ for what in await differences(who, path.format_map(stage.mine.ids))]
    assert wrong == []
    assert (await who.call("HEAD", "/v2/users/me")).headers["www-authenticate"] == 'Basic realm="api"'


async def test_what_is_public_answers_head_too(stage: Stage) -> None:
    paths = [filled(path) for path in PUBLIC if not USES_THE_QUERY_UP.search(path)]
    paths += ["/v2/nothing", "/docs/nothing", "/v2/users?filter[%00]=1"]
    wrong = [what for path in paths for what in await differences(stage.callers["T"], path)]
    assert wrong == []


async def test_a_route_without_get_has_no_head(stage: Stage) -> None:
    read = {path for method, path in stage.routes() if method == "GET"}
    for path in sorted({path for _, path in stage.routes()} - read):
        filled = path.replace("{", "").replace("}", "")
        answer = await stage.callers["T"].call("HEAD", filled)
        assert (answer.status_code, answer.content) == (405, b""), path
        assert "HEAD" not in answer.headers["allow"]


async def test_whoever_asks_with_another_method_is_told_of_head(stage: Stage) -> None:
    for path in sorted({path for method, path in stage.routes() if method == "GET"}):
        answer = await stage.callers["T"].call("BREW", path.replace("{", "").replace("}", ""))
        allowed = [name.strip() for name in answer.headers["allow"].split(",")]
        assert {"GET", "HEAD"} <= set(allowed), path
        assert len(allowed) == len(set(allowed))
