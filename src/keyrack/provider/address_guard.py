"""Guards against SSRF: which IP addresses may be connected to (contract 19.4); public ones only."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in its last 32 bits; what an IPv6-only network's DNS64 answers for public names."""

_PRIVATE = tuple(
    ip_network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""Where an operator may run an authorization server of their own: allowed by the deployment setting."""

_METADATA = frozenset(
    ip_address(literal)
    for literal in (
        "100.100.100.200",
        "168.63.129.16",  # publicly routable by its number, answered inside one cloud only
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Instance metadata services: they hand out the machine's own credentials and are nobody's authorization server."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")

_NOT_PUBLIC = tuple(
    ip_network(block)
    for block in (
        "192.0.0.0/24",  # protocol assignments: some of them count as global in newer `ipaddress` modules
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/23",  # protocol assignments, with Teredo, which embeds IPv4 addresses
        "2001:db8::/32",
        "2002::/16",  # 6to4 embeds IPv4 addresses
        "3fff::/20",  # documentation, RFC 9637: unknown to older `ipaddress` modules
    )
)


class ForbiddenAddressError(OSError):
    """The authorization server's address is not one that may be called.

    An `OSError`, because that is what resolving and connecting may raise without confusing the HTTP library.
    """

    def __init__(self) -> None:
        super().__init__("the address is not one that may be called")


def check_address(address: str | Address, *, allow_insecure: bool) -> None:
    """Refuse an IP address that must not be called (contract 0.11, 19.4; RFC 6890).

    Refused: loopback, private, link-local, carrier-grade NAT, unspecified, multicast, reserved and documentation
    addresses, IPv6 forms that hide an IPv4 address (mapped, 6to4, Teredo; NAT64 when the hidden one is refused),
    and instance metadata services.

    Args:
        address: the address about to be called; a text may carry a zone (`fe80::1%eth0`).
        allow_insecure: allow loopback, private, link-local and carrier-grade NAT addresses. Metadata services,
            multicast, unspecified and reserved addresses stay refused.

    Raises:
        ForbiddenAddressError: the address is refused, or the text is no address.
    """
    try:
        ip = ip_address(str(address).partition("%")[0])  # without its zone, so that it compares equal
    except ValueError:
        raise ForbiddenAddressError from None
    if isinstance(ip, IPv6Address):
        ip = _embedded(ip, mapped=allow_insecure)
    allowed = ip not in _METADATA and (_is_public(ip) or (allow_insecure and _is_private(ip)))
    if not allowed:
        raise ForbiddenAddressError


def _embedded(ip: IPv6Address, *, mapped: bool) -> Address:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    if mapped and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _is_private(ip: Address) -> bool:
    return any(ip in block for block in _PRIVATE if block.version == ip.version)


def _is_public(ip: Address) -> bool:
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    if any(ip in block for block in _NOT_PUBLIC if block.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
