"""Judges settings whose values have a form of their own: name servers, networks of proxies, the public address."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from keyrack.errors import ConfigurationError

PREFIX = "KEYRACK_"
"""Of every setting in the environment."""


def name_servers(text: str) -> tuple[str, ...]:
    """Return the name servers that `dns_servers` lists, as c-ares takes them.

    Raises:
        ConfigurationError: one is not an address, or its port is none.
    """
    servers = tuple(filter(None, (part.strip() for part in text.split(","))))
    for server in servers:
        if not _is_address(server):  # an IPv6 address without a port may stand without brackets
            parts = urlsplit(f"//{server}")
            try:
                good = parts.netloc == server and "@" not in server and parts.port != 0
            except ValueError:
                good = False
            if not good or not _is_address(parts.hostname or ""):
                raise ConfigurationError(f"{PREFIX}DNS_SERVERS must list addresses, with or without a port")
    return servers


def check_networks(text: str) -> None:
    """Insist that `trusted_proxies` lists addresses and networks.

    Raises:
        ConfigurationError: it does not.
    """
    try:
        for part in filter(None, (part.strip() for part in text.split(","))):
            ip_network(part)
    except ValueError:
        problem = f"{PREFIX}TRUSTED_PROXIES must list addresses and networks, such as 10.0.0.0/8"
        raise ConfigurationError(problem) from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def checked_public_url(text: str) -> str:
    """Return `public_url` without a slash at its end.

    Raises:
        ConfigurationError: it is no address that others can be given.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"{PREFIX}PUBLIC_URL must be an absolute http or https URL without query, fragment or user"
        )
    return text.rstrip("/")
