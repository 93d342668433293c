"""Names issuers in our addresses, so that each issuer has its own redirect URI (RFC 9700 section 4.4.2.2)."""

import re
from hashlib import sha256
from urllib.parse import urlsplit

_OTHERS = re.compile(r"[^a-z0-9.-]+")
_LONGEST_HOST, _DIGITS = 64, 32
_NAME = re.compile(rf"[a-z0-9.-]{{1,{_LONGEST_HOST}}}-[0-9a-f]{{{_DIGITS}}}")


def issuer_name(issuer: str) -> str:
    """Return an issuer's name in addresses: its host, for people, and 128 bits of its hash, which tell it from others.

    Two spellings of an issuer are two, as everywhere: RFC 8414 section 3.3 compares to the letter. A name that says one
    host and has the hash of another's issuer is nobody's.

    Args:
        issuer: of the authorization server (RFC 8414 section 2), judged already.
    """
    host = _OTHERS.sub("-", urlsplit(issuer).netloc.rpartition("@")[2].lower())[:_LONGEST_HOST]
    return f"{host or 'issuer'}-{sha256(issuer.encode()).hexdigest()[:_DIGITS]}"


def is_issuer_name(text: str) -> bool:
    """Tell whether a text could be the name of an issuer."""
    return _NAME.fullmatch(text) is not None


def host_in(name: str) -> str:
    """Return the host that a name of an issuer tells, as far as an address can have it."""
    return name[: -_DIGITS - 1]
