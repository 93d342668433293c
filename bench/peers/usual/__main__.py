"""The usual build: `python -m bench.peers.usual fill URL` prints what it stored, `... serve URL PORT` serves it."""

import asyncio
import json
import sys

import uvicorn

from bench.peers.usual.app import application
from bench.peers.usual.fill import fill


def main(order: str, url: str, port: str = "") -> None:
    """Fill an empty database, or serve a filled one on loopback with one worker."""
    if order == "fill":
        print(json.dumps(asyncio.run(fill(url))))
        return
    uvicorn.run(
        application(url),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
