"""The bare server: `python -m bench.peers.bare PORT PATH BODY_FILE`. Keyrack's stack, and nothing behind it.

uvicorn with uvloop and httptools, one process, one route that answers a constant: what Keyrack would reach if reading
cost nothing.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]


def application(path: str, body: bytes) -> Any:
    """Return the smallest ASGI application that answers one path with a constant."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    rest = {"type": "http.response.body", "body": body}
    lost = {"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]}

    async def serve(
        scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["path"] == path:
            await send(dict(start))
            await send(rest)
        else:
            await send(dict(lost))
            await send({"type": "http.response.body", "body": b""})

    return serve


def main(port: str, path: str, body_file: str) -> None:
    """Serve the content of a file at a path."""
    body = Path(body_file).read_bytes()
    uvicorn.run(
        application(path, body),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
