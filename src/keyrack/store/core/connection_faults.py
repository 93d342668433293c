"""Says why no connection to PostgreSQL could be made: who was asked, and what is wrong, never with a password.

The words are for the operator, on the command line and at start. They do not belong into an answer of the API, which
tenants read.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping

import asyncpg

from keyrack.store.core.dsn import PostgresTarget

_SILENT = "it gives no answer in time; is there a firewall in between?"
_BY_NUMBER: Mapping[int, str] = {
    errno.ECONNREFUSED: "the connection is refused; is PostgreSQL running there?",
    errno.ENOENT: "there is no such socket; is PostgreSQL running there?",
    errno.EACCES: "this user of the operating system may not connect there",
    errno.EHOSTUNREACH: "the host cannot be reached from here",
    errno.ENETUNREACH: "the host cannot be reached from here",
    errno.ECONNRESET: "the connection was closed at once; is it PostgreSQL that listens there?",
    errno.ETIMEDOUT: _SILENT,
}
_BY_TYPE: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "there is no such host"),
    (TimeoutError, _SILENT),
    (
        asyncpg.TargetServerAttributeNotMatched,
        "no server that answers takes writes; is a standby waiting to be promoted?",
    ),
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted; see sslmode and sslrootcert"),
    (ssl.SSLError, "TLS fails; see sslmode"),
    (asyncpg.InvalidCatalogNameError, "there is no such database; create it, or name another"),
    (asyncpg.InvalidPasswordError, "the password of the role {role} is wrong, or there is no such role"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the role {role} is not let in from here; see its pg_hba.conf",
    ),  # after InvalidPasswordError, which is one of these
    (asyncpg.InsufficientPrivilegeError, "the role {role} lacks the privilege CONNECT"),
    (asyncpg.TooManyConnectionsError, "it has no connection left; see its max_connections"),
    (asyncpg.CannotConnectNowError, "it is starting up or shutting down; try again shortly"),
)
_OF_ROLES = (
    (re.compile(r"role .* does not exist", re.DOTALL), "there is no role {role}; create it, or name another"),
    (
        re.compile(r"role .* is not permitted to log in", re.DOTALL),
        "the role {role} may not log in: ALTER ROLE … LOGIN",
    ),
)
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def connection_fault(target: PostgresTarget, error: BaseException, setting: str = "KEYRACK_DATABASE_URL") -> str:
    """Return why a connection could not be made, with the names of the server, the database and perhaps the role.

    Args:
        target: what was to be connected to.
        error: what the driver raised; its text is searched, never shown.
        setting: the setting that names the server.
    """
    reason = next(_reasons(error)).format(role=target.role)
    return f"cannot connect to the database {target.database} at {target.where} ({setting}): {reason}"


def _reasons(error: BaseException) -> Iterator[str]:
    """Yield what is known of a fault, the most telling first."""
    refused_role = isinstance(error, asyncpg.InvalidAuthorizationSpecificationError)
    yield from (words for told, words in _OF_ROLES if refused_role and told.search(str(error)))
    yield from (words for kind, words in _BY_TYPE if isinstance(error, kind))
    if isinstance(error, asyncpg.PostgresError):
        yield f"it refuses (SQLSTATE {error.sqlstate}); its log says why"
    yield from (_BY_NUMBER[number] for number in _numbers(error) if number in _BY_NUMBER)
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        yield "it takes no TLS connections, which sslmode asks for"
    yield type(error).__name__


def _numbers(error: BaseException) -> list[int]:
    """Return the error numbers; where several addresses were tried, asyncio only puts them into words."""
    own = getattr(error, "errno", None)
    return [own] if isinstance(own, int) else [int(number) for number in _NUMBER.findall(str(error))]
