"""Parses database URLs: every form libpq takes (PostgreSQL manual, "Connection URIs"), and SQLite files."""

import configparser
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError

_UNDERSTOOD_BY_DRIVER = frozenset(
    [
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "database",
        "passfile",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslpassword",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    ]
)
_WITHOUT_EFFECT_HERE = frozenset(
    [
        "gssencmode",
        "gssdelegation",
        "channel_binding",
        "sslcompression",
        "sslsni",
        "sslcertmode",
        "load_balance_hosts",
        "requirepeer",
        "require_auth",
        "min_protocol_version",
        "max_protocol_version",
        "replication",
    ]
)
_VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_SERVER_SETTINGS = {"application_name", "client_encoding", "options"}
_PROBES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    "tcp_user_timeout": 5000,
}
"""How soon a server is noticed that is gone without a word, as its machine lost its power or its network: libpq's
parameters (PostgreSQL manual, "Parameter Key Words"), in seconds and milliseconds; 0: as the system has it."""


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A PostgreSQL server, as the driver wants to hear it.

    Attributes:
        dsn: the URL with only the parameters the driver understands.
        options: keyword arguments of the driver's `connect`.
        probes: how connections are probed, by libpq's names for it.
    """

    dsn: str = field(repr=False)
    options: dict[str, Any]
    probes: Mapping[str, int] = field(default_factory=lambda: _PROBES)

    @property
    def servers(self) -> Sequence[tuple[str, int]]:
        """The servers' addresses and ports, in order; empty where only the driver can tell, as of a service."""
        given = self._given
        if self._has_odd_path or "service" in given:
            return ()
        netloc = urlsplit(self.dsn).netloc.rpartition("@")[2]
        hosts = (netloc or given.get("host") or "").split(",")
        ports = (given.get("port") or os.environ.get("PGPORT") or "5432").split(",")
        if not all(hosts) or len(ports) not in (1, len(hosts)):
            return ()
        found = [_parted(host, ports[min(n, len(ports) - 1)]) for n, host in enumerate(hosts)]
        if not all(port.isdigit() for _, port in found):
            return ()
        return [(unquote(host) if netloc else host, int(port)) for host, port in found]

    @property
    def asks_for(self) -> str:
        """Which of the servers will do, as `target_session_attrs` says it; of several, by default one for writes."""
        said = self._given.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
        return said or ("read-write" if len(self.servers) > 1 else "any")

    @property
    def where(self) -> str:
        """The servers' addresses, for an operator; never the password, even where it was not percent-encoded."""
        given = self._given
        if self._has_odd_path:
            return "some address"
        if service := given.get("service"):
            return f"the service {service}"
        netloc = urlsplit(self.dsn).netloc
        hosts = unquote(netloc.rpartition("@")[2]) or given.get("host") or os.environ.get("PGHOST") or "localhost"
        ports = (given.get("port") or os.environ.get("PGPORT") or "5432").split(",")
        return ", ".join(_address(host, ports[min(n, len(ports) - 1)]) for n, host in enumerate(hosts.split(",")))

    @property
    def database(self) -> str:
        """The database's name, for an operator; by default that of the role."""
        path = unquote(urlsplit(self.dsn).path.lstrip("/"))
        given = self._given.get("dbname") or self._given.get("database")
        name = path or given or os.environ.get("PGDATABASE")
        return "of some name" if self._has_odd_path else _quoted(name) or self.role

    @property
    def role(self) -> str:
        """The role's name, for an operator; by default that of the operating system's user."""
        user = unquote(urlsplit(self.dsn).netloc.rpartition("@")[0].partition(":")[0])
        return _quoted(user or self._given.get("user") or os.environ.get("PGUSER")) or "of this system's user"

    @property
    def _has_odd_path(self) -> bool:
        """Whether the password may have a `/` of its own, so that what looks like host and path are parts of it."""
        return "@" in urlsplit(self.dsn).path

    @property
    def _given(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.dsn).query))


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """A SQLite file."""

    path: Path


Target = PostgresTarget | SqliteTarget


def _quoted(name: str | None) -> str:
    return f'"{name}"' if name else ""


def _parted(host: str, port: str) -> tuple[str, str]:
    """Part a host from its port, if it has its own; a port that is no number is left as it is."""
    if host.startswith(("/", "@")):
        return host, port
    found = re.fullmatch(r"(\[.*\]|[^:]*)(?::(.*))?", host)
    return (found[1].strip("[]"), found[2] or port) if found else (host, "")


def _address(host: str, port: str) -> str:
    if host.startswith(("/", "@")):
        return f"{host}/.s.PGSQL.{port}"
    return host if re.fullmatch(r"(\[.*\]|[^:]*):[0-9]+", host) else f"{host}:{port}"


def parse_database_url(url: Secret) -> Target:
    """Understand a database URL.

    Args:
        url: `postgresql://…` or `postgres://…` in any form of libpq (several hosts, unix sockets as `?host=/dir` or
            `%2Fdir`, percent-encoded parts, `sslmode` and the other parameters), or `sqlite:///PATH`.

    Raises:
        ConfigurationError: the URL has another scheme or a parameter libpq does not have. Never shows the URL.
    """
    text = url.reveal()
    scheme = text.partition(":")[0].lower()
    if scheme in ("postgresql", "postgres"):
        return _postgres(text)
    if scheme == "sqlite":
        return _sqlite(text)
    raise ConfigurationError("KEYRACK_DATABASE_URL must begin with postgresql://, postgres:// or sqlite:///")


def _sqlite(text: str) -> SqliteTarget:
    parts = urlsplit(text)
    if parts.netloc or not parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError("a SQLite URL is sqlite:///relative/path or sqlite:////absolute/path")
    return SqliteTarget(Path(unquote(parts.path[1:])))


def _postgres(text: str) -> PostgresTarget:  # noqa: C901 - one branch for each kind of parameter
    parts = urlsplit(text.replace("#", "%23"))  # a password may hold one; libpq knows no fragments
    kept: list[tuple[str, str]] = []
    settings: dict[str, str] = {}
    options: dict[str, Any] = {}
    probes = dict(_PROBES)
    for name, value in _parameters(parts.query):
        if name in _UNDERSTOOD_BY_DRIVER:
            kept.append((name, value))
            _check_value(name, value)
        elif name == "ssl":  # libpq takes ssl=true for JDBC's sake
            kept.append(("sslmode", "require" if value == "true" else "prefer"))
        elif name == "hostaddr":
            raise ConfigurationError("hostaddr in KEYRACK_DATABASE_URL is not supported; give the address as host")
        elif name == "servicefile":
            options["servicefile"] = value
        elif name == "connect_timeout":
            options |= _connect_timeout(value)
        elif name in _PROBES:
            probes[name] = _whole(name, value)
        elif name == "fallback_application_name":
            settings.setdefault("application_name", value)
        elif name in _SERVER_SETTINGS:
            settings[name] = value
        elif name not in _WITHOUT_EFFECT_HERE:
            raise ConfigurationError(f"KEYRACK_DATABASE_URL has a parameter libpq does not know: {name[:40]!r}")
    settings.setdefault("application_name", "keyrack")
    settings.pop("client_encoding", None)  # text is always UTF-8 here
    for name, value in kept:
        if name == "service":
            _require_service(value, options.get("servicefile"))
    path = "" if parts.path == "/" or any(name == "dbname" for name, _ in kept) else parts.path
    query = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    return PostgresTarget(f"postgresql://{parts.netloc}{path}{query}", options | {"server_settings": settings}, probes)


def _parameters(query: str) -> list[tuple[str, str]]:
    """Split the parameters as libpq does: a plus sign is a plus sign, not a blank as in a form."""
    found = []
    for part in query.split("&") if query else []:
        name, separator, value = part.partition("=")
        if not separator:
            raise ConfigurationError("KEYRACK_DATABASE_URL has a parameter without a value")
        found.append((unquote(name), unquote(value)))
    return found


def _require_service(service: str, file: str | None) -> None:
    """Insist that the service is described; the driver would go on without it, to some other server."""
    path = Path(file or os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    described = configparser.ConfigParser(interpolation=None)
    try:
        described.read(path)
    except configparser.Error:
        raise ConfigurationError(f"the service file {path} cannot be read") from None
    if service not in described:
        raise ConfigurationError(f"the service file {path} does not have the service of KEYRACK_DATABASE_URL")


def _check_value(name: str, value: str) -> None:
    allowed = _VALUES.get(name)
    if allowed is not None and value not in allowed:
        raise ConfigurationError(f"{name} in KEYRACK_DATABASE_URL must be one of {', '.join(allowed)}")
    if name == "port" and not all(port.isdigit() for port in value.split(",") if port):
        raise ConfigurationError("port in KEYRACK_DATABASE_URL is not a number")


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ConfigurationError(f"{name} in KEYRACK_DATABASE_URL is not a whole number")
    return int(value)


def _connect_timeout(value: str) -> dict[str, float]:
    try:
        seconds = int(value)
    except ValueError:
        raise ConfigurationError("connect_timeout in KEYRACK_DATABASE_URL is not a whole number of seconds") from None
    return {"timeout": float(max(seconds, 2))} if seconds > 0 else {}  # libpq: below 2 counts as 2, 0 waits for ever
