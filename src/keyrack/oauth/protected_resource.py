"""Protected resources: what their refusals and their metadata say (RFC 9728, RFC 6750 section 3).

What a resource says of itself is anybody's word. So its metadata counts only where it is about the address that was
asked for (RFC 9728 section 3.3), and every address in it goes through the guard.
"""

import re
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.issuer import text_list
from keyrack.oauth.wire import QueryRequest, RawResponse

_OK = 200
_MAX_SERVERS, _MAX_SCOPES, _MAX_SCOPE, _MAX_NAME = 5, 200, 500, 200
_MAX_CHALLENGE = 8192
_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_SCHEME = re.compile(r"(?:^|[\s,])(?:bearer|dpop)(?=\s|,|$)", re.IGNORECASE)
_NEXT_SCHEME = re.compile(r"[\s,][A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*\s+[A-Za-z0-9_-]+\s*=")
_PARAMETER = re.compile(r"""([A-Za-z0-9_-]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.){0,4096})"|([^\s,;"]{1,4096}))""")
INSUFFICIENT_SCOPE = "insufficient_scope"


@dataclass(frozen=True, slots=True)
class BearerChallenge:
    """What a resource says when it refuses a request without a token that it takes.

    Attributes:
        error: code of RFC 6750 section 3.1; empty if it says none.
        scopes: that are needed (RFC 6750 section 3).
        resource_metadata: address of its metadata (RFC 9728 section 5.1); empty if it says none.
    """

    error: str = ""
    scopes: tuple[str, ...] = ()
    resource_metadata: str = ""


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """What a protected resource says about itself (RFC 9728 section 2).

    Attributes:
        resource: its identifier, which tokens are asked for with (RFC 8707).
        authorization_servers: issuers of those whose tokens it takes, the preferred first.
        scopes: that it tells of.
    """

    resource: str
    authorization_servers: tuple[str, ...]
    scopes: tuple[str, ...] = ()


def bearer_challenge(www_authenticate: str) -> BearerChallenge | None:
    """Return the challenge of a `WWW-Authenticate` header that is about access tokens; None: there is none.

    It is of the scheme Bearer, or of DPoP, which has the same parameters (RFC 9449 section 7.1).
    """
    text = www_authenticate[:_MAX_CHALLENGE]
    found = _SCHEME.search(_without_quoted(text))
    if found is None:
        return None
    rest = text[found.end() :]
    following = _NEXT_SCHEME.search(_without_quoted(rest), 1)
    said: dict[str, str] = {}
    for name, quoted, token in _PARAMETER.findall(rest[: following.start()] if following else rest):
        said.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else token)
    scopes = split_scope_exactly(said.get("scope", ""))
    return BearerChallenge(said.get("error", "")[:_MAX_NAME], scopes, said.get("resource_metadata", ""))


def split_scope_exactly(text: str) -> tuple[str, ...]:
    """Return the scopes of a text as RFC 6749 section 3.3 writes it, within bounds; what could not be one is left out.

    A comma is part of a scope here: what is asked for must be what was named.
    """
    scopes = (each for each in text.split(" ") if 0 < len(each) <= _MAX_SCOPE and _is_scope(each))
    return tuple(islice(dict.fromkeys(scopes), _MAX_SCOPES))


def metadata_addresses(resource: str) -> tuple[QueryRequest, ...]:
    """Return where a resource's metadata may be (RFC 9728 section 3.1): for its path, then for its whole origin."""
    parts = urlsplit(resource)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    addresses = (f"{origin}{_WELL_KNOWN}{path}{query}", f"{origin}{_WELL_KNOWN}")
    return tuple(QueryRequest(address, ()) for address in dict.fromkeys(addresses))


def process_resource_metadata(response: RawResponse, address: str) -> ResourceMetadata | None:
    """Return what an answer says of a resource; None if it is no metadata, or another's (RFC 9728 section 3.3).

    Args:
        response: what came from where the metadata is.
        address: of the resource, as it was asked for.
    """
    if response.status != _OK:
        return None
    try:
        found = parse_answer(response)
    except NotUnderstood:
        return None
    resource = found.values.get("resource")
    if found.cut or not isinstance(resource, str) or not is_same_resource(resource, address):
        return None
    scopes = text_list(found.values.get("scopes_supported")) or ()
    servers = text_list(found.values.get("authorization_servers")) or ()
    return ResourceMetadata(
        resource,
        servers[:_MAX_SERVERS],
        tuple(each for each in scopes if _is_scope(each)),
    )


def is_same_resource(resource: str, address: str) -> bool:
    """Tell whether a resource identifier is that of an address (RFC 9728 section 3.3), however its end is written.

    Clients of the Model Context Protocol also take an identifier that the address lies below. Tokens for that would be
    good at every other server of the host, which may be somebody else's: one at `/mcp` does not speak for `/`.
    """
    try:
        ours, theirs = urlsplit(address), urlsplit(resource)
    except ValueError:
        return False
    if _origin(theirs.scheme, theirs.netloc) != _origin(ours.scheme, ours.netloc) or theirs.fragment:
        return False
    return theirs.query == ours.query and theirs.path.rstrip("/") == ours.path.rstrip("/")


def without_trailing_slash(address: str) -> str:
    """Return an address by which a server is known, however its root is written."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    path = "" if parts.path == "/" else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{_origin(parts.scheme, parts.netloc)}{path}{query}"


def _origin(scheme: str, netloc: str) -> str:
    usual = {"https": ":443", "http": ":80"}.get(scheme.lower(), "")
    return f"{scheme.lower()}://{netloc.lower().removesuffix(usual)}"


def _is_scope(text: str) -> bool:
    return all("!" <= char <= "~" and char not in '"\\' for char in text)


def _without_quoted(text: str) -> str:
    """Return a header with what is quoted blanked out, so that no scheme is seen in it."""
    return re.sub(r'"(?:[^"\\]|\\.)*"?', lambda found: '"' + "." * (len(found[0]) - 2) + '"', text)
