"""Somebody at another loopback address who sends a server what it should not have to bear, over raw sockets."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

ATTACKER = "127.0.0.2"
"""Linux has all of 127.0.0.0/8 on its loopback interface."""


def connect(port: int, *, source: str = ATTACKER, receive_buffer: int | None = None) -> socket.socket:
    """Return a connection to a server on 127.0.0.1 that comes from another address.

    Args:
        port: of the server.
        source: the address it comes from.
        receive_buffer: bytes that the kernel takes of what nobody reads; as usual if None.
    """
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", port))
    return connection


@contextmanager
def connections(port: int, count: int, first: bytes = b"", *, source: str = ATTACKER) -> Iterator[list[socket.socket]]:
    """Hold a number of connections open until the block ends; each sends `first`."""
    with ExitStack() as held:
        made = []
        for _ in range(count):
            made.append(held.enter_context(connect(port, source=source)))
            if first:
                made[-1].sendall(first)
        yield made


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has ended a connection that has nothing to read."""
    connection.settimeout(0)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
