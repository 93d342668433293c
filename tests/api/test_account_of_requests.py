"""A request is logged and counted before its caller has the whole answer, so that whoever looks finds it."""

from typing import Any

import httpx2
import pytest
import structlog

from keyrack import metrics
from keyrack.api.core.asgi import Message, Receive, Scope, Send
from support.app import World


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v2/users/me", True, 200),
        ("/v2/flows", True, 400),
        ("/v2/nothing", True, 404),
        ("/v2/users/me", False, 401),
        ("/healthz", False, 200),
        ("/docs", False, 200),
    ],
)
async def test_the_line_and_the_count_come_before_the_end_of_the_answer(
    keyrack: World, monkeypatch: pytest.MonkeyPatch, path: str, key: bool, status: int
) -> None:
    counted: list[int] = []
    at_the_end: list[tuple[list[Any], list[int]]] = []
    monkeypatch.setattr(metrics, "request", lambda *given: counted.append(given[2]))

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def seen(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                at_the_end.append(([line["status"] for line in log if line["event"] == "request"], [*counted]))
            await send(message)

        await keyrack.app(scope, receive, seen)

    headers = keyrack.tenants["Acme"].admin.headers if key else {}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=watched), base_url="http://keyrack.test") as http:
        with structlog.testing.capture_logs() as log:
            answer = await http.get(path, headers=headers)
    assert answer.status_code == status
    assert at_the_end == [([status], [status])]
    assert counted == [status]
    assert [line["status"] for line in log if line["event"] == "request"] == [status]
