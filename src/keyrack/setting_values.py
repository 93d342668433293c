"""Judges settings whose values have a form of their own: name servers, networks of proxies, the public address."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from keyrack.errors import ConfigurationError

PREFIX = "KEYRACK_"
"""Of every setting in the environment."""
EVERYBODY = "*"
"""In a list of addresses and networks: all there are."""


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


def networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Return the addresses and networks that a setting lists, without what stands for everybody.

    Raises:
        ValueError: it lists something else.
    """
    return [ip_network(part) for part in map(str.strip, text.split(",")) if part not in ("", EVERYBODY)]


def check_networks(name: str, text: str, *, or_everybody: bool = False) -> None:
    """Insist that a setting lists addresses and networks.

    Args:
        name: the setting's, without the prefix.
        text: its value.
        or_everybody: whether it may have `EVERYBODY`.

    Raises:
        ConfigurationError: it does not.
    """
    try:
        networks(text)
        good = or_everybody or EVERYBODY not in text
    except ValueError:
        good = False
    if not good:
        more = f", or be {EVERYBODY}" if or_everybody else ""
        raise ConfigurationError(f"{PREFIX}{name} must list addresses and networks, such as 10.0.0.0/8{more}")


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
