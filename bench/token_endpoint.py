"""A provider that costs nothing: `python -m bench.token_endpoint PORT DELAY_MS`. New tokens for every request.

Only at `/failing` it is out of order. It serves as a webhook's receiver too, which may answer anything.
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]


def application(delay: float) -> Any:
    """Return an ASGI application that answers every request, after `delay` seconds, with tokens for an hour."""
    numbers = itertools.count()

    async def serve(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        if delay:
            await asyncio.sleep(delay)
        body = b'{"access_token":"%032d","refresh_token":"%032d","token_type":"Bearer","expires_in":3600}'
        number = next(numbers)
        answer = body % (number, number)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        status = 503 if scope["path"] == "/failing" else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return serve


def main(port: str, delay_ms: str) -> None:
    """Serve until the process ends."""
    uvicorn.run(
        application(int(delay_ms) / 1000),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
