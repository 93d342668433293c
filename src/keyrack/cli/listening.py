"""Takes the port that a server is going to listen on, so that one that cannot be had is said in a line."""

import errno
import socket

from keyrack.errors import ConfigurationError

_REASONS = {
    errno.EADDRINUSE: "something listens there already; stop it, or choose another --port",
    errno.EACCES: "this user may not listen there; choose a --port from 1024 on, and let a proxy take the other",
    errno.EADDRNOTAVAIL: "this machine has no such address; --host takes one of its own, or 0.0.0.0 for all",
}


def bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets that are bound and do not listen yet: one for each address that a host name has.

    Args:
        host: an address or a name of this machine.
        port: the port; 0: a free one, the same for all.

    Raises:
        ConfigurationError: there is no such host, or the port cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigurationError(f"cannot listen on {host} port {port}: there is no such host") from None
    taken: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            made = socket.socket(family, kind, protocol)
        except OSError:  # a family that this machine does not have
            continue
        taken.append(made)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            first_port = port_of(taken) if len(taken) > 1 else port
            made.bind((address[0], first_port, *address[2:]))
        except OSError as error:
            taken.pop().close()
            if error.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                continue  # a name with addresses of a family that is switched off
            for each in taken:
                each.close()
            raise not_to_be_had(host, port, error) from None
    if not taken:
        raise not_to_be_had(host, port, OSError(errno.EADDRNOTAVAIL, ""))
    return taken


def port_of(sockets: list[socket.socket]) -> int:
    """Return the port that sockets are bound to."""
    port: int = sockets[0].getsockname()[1]
    return port


def not_to_be_had(host: str, port: int, error: OSError) -> ConfigurationError:
    """Return the error that says why nothing can listen at an address."""
    reason = _REASONS.get(error.errno or 0, error.strerror or "it cannot be had")
    return ConfigurationError(f"cannot listen on {host} port {port}: {reason}")
