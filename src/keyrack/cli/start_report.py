"""Says in the log what a server is that starts, and warns of what is insecure about it."""

import os
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from keyrack.crypto.kek.sources import FILE, named_sources
from keyrack.crypto.secret import Secret
from keyrack.settings import PREFIX, Settings

_READABLE = ("", "disable", "allow", "prefer")
"""Values of sslmode with which a connection need not be encrypted (PostgreSQL manual, "SSL Mode Descriptions")."""

_DEFAULT = "default"
"""What libpq takes from its environment or a service."""


def report(settings: Settings, host: str, port: int, *, workers: int, api: bool) -> None:
    """Log where a server listens and on what it works, and a warning for each thing that is insecure.

    Args:
        settings: in force.
        host: where it listens, as it was asked for.
        port: where it does listen.
        workers: how many processes.
        api: whether it has the API, or only tells how it is doing.
    """
    import structlog

    from keyrack import __version__

    log = structlog.get_logger()
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pages = {"docs": f"{address}/docs"} if api else {}
    log.info("serving", address=address, **pages, version=__version__, workers=workers, **database(settings))
    for setting, why in insecure(settings, host):
        log.warning("insecure", setting=setting, why=why)


def database(settings: Settings) -> dict[str, str]:
    """Return kind, host and name of the database in force; neither a user name nor a password."""
    return _described(settings.effective_database_url)


def _described(address: Secret) -> dict[str, str]:
    url = urlsplit(address.reveal().replace("#", "%23"))
    if url.scheme.lower() == "sqlite":
        return {"database": "SQLite", "database_name": unquote(url.path[1:])}
    given = {name: values[-1] for name, values in parse_qs(url.query).items()}
    host = given.get("host") or unquote(url.netloc.rpartition("@")[2]) or _DEFAULT
    return {
        "database": "PostgreSQL",
        "database_host": host,
        "database_name": given.get("dbname") or given.get("database") or unquote(url.path[1:]) or _DEFAULT,
    }


def insecure(settings: Settings, host: str) -> Iterator[tuple[str, str]]:
    """Yield what is insecure about an installation: the setting or option, and why."""
    if (settings.public_url or "").startswith("http:"):
        yield f"{PREFIX}PUBLIC_URL", "it is http: codes and pages can be read and changed on the way"
    if settings.allow_insecure_providers:
        yield f"{PREFIX}ALLOW_INSECURE_PROVIDERS", "tokens go over http, and tenants can reach private addresses"
    if FILE in named_sources(settings) and settings.effective_key_file.parent == settings.home:
        yield f"{PREFIX}KEY_FILE", "the key is in the home folder: who has a copy of the folder can decrypt the data"
    if not _is_loopback(host) and not settings.trusted_proxies:
        yield "--host", "others reach it without TLS: put a proxy in front, and name it in KEYRACK_TRUSTED_PROXIES"
    if settings.metrics_open:
        yield f"{PREFIX}METRICS_OPEN", "everybody who reaches /metrics can read it"
    if settings.wrong_keys_limit == 0:
        yield f"{PREFIX}WRONG_KEYS_LIMIT", "API keys can be guessed as fast as the network allows"
    for setting, url in _database_urls(settings):
        if _is_readable(url):
            yield setting, "the connection need not be encrypted: add sslmode=verify-full"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _database_urls(settings: Settings) -> Iterator[tuple[str, Secret]]:
    yield f"{PREFIX}DATABASE_URL", settings.effective_database_url
    if settings.database_direct_url is not None:
        yield f"{PREFIX}DATABASE_DIRECT_URL", settings.database_direct_url


def _is_readable(address: Secret) -> bool:
    """Tell whether what goes to a database can be read on the way."""
    found = _described(address)
    if found["database"] == "SQLite":
        return False
    hosts = [re.sub(r"(?<=[^:]):\d*$", "", name) for name in found["database_host"].split(",")]  # without the port
    if all(name == _DEFAULT or name.startswith("/") or _is_loopback(name) for name in hosts):
        return False
    query = parse_qs(urlsplit(address.reveal().replace("#", "%23")).query)
    return query.get("sslmode", [os.environ.get("PGSSLMODE", "")])[-1] in _READABLE
