"""Guards against SSRF: which URIs may be stored and called, by syntax and literal address (contract 0.11).

A URL is read by yarl, and the very object that was checked is what the HTTP client calls, so that they cannot differ.
The pattern before it only narrows: it refuses what parsers read in different ways. Path and query stay as written.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from yarl import URL

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.uri import wire_uri
from keyrack.provider.address_guard import NAT64, Address, ForbiddenAddressError, check_address

__all__ = ["check_address", "check_host", "check_issuer", "check_uri", "is_literal", "parse_uri"]

ALLOW_INSECURE = "KEYRACK_ALLOW_INSECURE_PROVIDERS"
"""The setting that allows what is refused otherwise."""
MAX_URI_LENGTH = 4096

_SHAPE = re.compile(
    r"https?://"
    r"(?:\[[0-9a-f:.]+\]|[^/?\[\]:]+)"  # host: an IPv6 address in brackets, or a name or IPv4 address
    r"(?::[0-9]{1,5})?"
    r"(?:[/?].*)?",
    re.IGNORECASE,
)
_HOST_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)


def check_uri(uri: str, *, allow_insecure: bool, pointer: str | None = None) -> None:
    """Refuse a URI to which no tenant's client secret may be sent (contract 0.11, 19.4).

    Args:
        uri: an authorization server's endpoint, its templates already rendered.
        allow_insecure: accept `http`, `localhost` and private addresses (`KEYRACK_ALLOW_INSECURE_PROVIDERS`).
        pointer: JSON pointer of the member at fault, for the error.

    Raises:
        ValidationFailed: it is no absolute http(s) URL, or its host is a forbidden address. The text never repeats
            the URI, which may hold values of a template.
    """
    url = parse_uri(uri, allow_insecure=allow_insecure, pointer=pointer)
    try:
        check_host(url, allow_insecure=allow_insecure)
    except ForbiddenAddressError:
        problem = "The host of the URI is a local, private or reserved address."
        if not allow_insecure:
            problem += f" The operator can allow local and private ones with {ALLOW_INSECURE}."
    else:
        return
    raise ValidationFailed(Problem(problem, pointer))


def check_issuer(issuer: str, *, allow_insecure: bool, pointer: str | None = None) -> None:
    """Refuse what cannot be an issuer identifier: an https URL without query and fragment (RFC 8414 section 2).

    Args and raises: as `check_uri`.
    """
    check_uri(issuer, allow_insecure=allow_insecure, pointer=pointer)
    if "?" in issuer:
        raise ValidationFailed(Problem("An issuer must not have a query (RFC 8414 section 2).", pointer))


def parse_uri(uri: str, *, allow_insecure: bool, pointer: str | None = None) -> URL:
    """Parse an endpoint's URI, refusing everything but a plain absolute URL (RFC 3986; RFC 6749 section 3.2).

    Returns:
        The URL to call: its host in lower-case ASCII, path and query as they are written (`wire_uri`).

    Raises:
        ValidationFailed: see `check_uri`; the host's address is not looked at here.
    """
    problem = _text_problem(uri)
    if problem is None:
        try:
            url = URL(wire_uri(uri), encoded=True)
            problem = _url_problem(url, allow_insecure=allow_insecure)
        except ValueError:  # includes UnicodeError of a host that IDNA refuses
            problem = "The URI is not a valid URL."
        if problem is None:
            return url
    raise ValidationFailed(Problem(problem, pointer))


def check_host(url: URL, *, allow_insecure: bool) -> None:
    """Refuse a URL whose host is written as a forbidden address, or is `localhost` (RFC 6761 section 6.3).

    Args:
        url: what `parse_uri` returned.
        allow_insecure: see `keyrack.provider.address_guard.check_address`.

    Raises:
        ForbiddenAddressError: the host is refused. Other names are resolved and checked when connecting.
    """
    host = url.raw_host or ""
    literal = _literal(host)
    if literal is not None:
        if isinstance(literal, IPv6Address) and literal in NAT64 and not allow_insecure:
            raise ForbiddenAddressError
        check_address(literal, allow_insecure=allow_insecure)
    elif host.rstrip(".").rpartition(".")[2] == "localhost" and not allow_insecure:
        raise ForbiddenAddressError


def is_literal(url: URL) -> bool:
    """Tell whether a URL's host is written as an address, which nobody has to look up."""
    return _literal(url.raw_host or "") is not None


def _text_problem(uri: str) -> str | None:
    if len(uri) > MAX_URI_LENGTH:  # before any parsing: IDNA takes quadratic time
        return f"The URI is longer than {MAX_URI_LENGTH} characters."
    authority = re.split(r"[/?]", uri.partition("://")[2], maxsplit=1)[0]
    checks = (
        # Not printable: control, format, surrogate and unassigned characters, and every space but the plain one.
        (
            not uri.isprintable() or " " in uri or "\\" in uri,
            "The URI must not contain spaces, control characters or backslashes.",
        ),
        ("#" in uri, "The URI must not have a fragment."),
        ("@" in authority, "The URI must not contain a user name or password."),
        ("%" in authority, "The host of the URI must not be percent-encoded or have a zone."),
        (not _SHAPE.fullmatch(uri), "The URI must be an absolute http or https URL with a host."),
    )
    return next((problem for wrong, problem in checks if wrong), None)


def _url_problem(url: URL, *, allow_insecure: bool) -> str | None:
    if url.scheme != "https" and not allow_insecure:
        return f"The URI must use https. The operator can allow http, for trying out, with {ALLOW_INSECURE}."
    if not url.port:
        return "The port of the URI must be between 1 and 65535."
    if url.port in BAD_PORTS:
        return "The port of the URI belongs to another protocol than HTTP."
    host = url.raw_host or ""
    if not url.host or (":" not in host and not _HOST_NAME.fullmatch(host)):  # `host` decodes IDNA, or fails
        return "The host of the URI is not a valid name or address."
    # What ends in a number is an address to some resolver (`127.1`, `0x7f.1`, `2130706433`): only the plain
    # spelling of four decimal numbers may stand. Digits that IDNA leaves as they are, such as Arabic ones, are no less
    # a number to some reader.
    if (_ENDS_IN_NUMBER.fullmatch(host) or _ends_in_digits(url.host)) and _literal(host) is None:
        return "The host of the URI is not a plainly written address."
    return None


def _ends_in_digits(host: str) -> bool:
    return host.rstrip(".").rpartition(".")[2].isnumeric()


def _literal(host: str) -> Address | None:
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        return None


BAD_PORTS = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
        109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
        526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
        3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip
"""The bad ports of the Fetch standard (section "Port blocking"), which browsers refuse too."""
