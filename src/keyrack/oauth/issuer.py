"""Compares issuers, reads their metadata (RFC 8414; OpenID Connect Discovery 1.0 section 4; RFC 9207)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.id_token import MAX_KEYS, PublicKey
from keyrack.oauth.wire import QueryRequest, RawResponse

_OK = 200
_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
_KEY_MEMBERS = frozenset({"kty", "use", "kid", "n", "e", "crv", "x", "y"})
_MAX_MEMBER = 3000
_MAX_LIST, _MAX_TEXT = 200, 500


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """What is used of an authorization server's metadata.

    Attributes:
        sends_iss: `authorization_response_iss_parameter_supported` (RFC 9207 section 3).
        jwks_uri: where its keys are, if it says so.
        authorization_endpoint: where people sign in and consent, if it says so.
        token_endpoint: where codes are exchanged, if it says so.
        userinfo_endpoint: where it tells about a person (OpenID Connect Core 1.0 section 5.3), if it does.
        end_session_endpoint: where people sign out (OpenID Connect RP-Initiated Logout), if anywhere.
        pushed_authorization_request_endpoint: where requests are pushed (RFC 9126 section 5), if anywhere.
        requires_pushed_requests: `require_pushed_authorization_requests` (the same section): it takes no others.
        registration_endpoint: where clients register themselves (RFC 7591), if they can.
        revocation_endpoint: where tokens are revoked (RFC 7009), if they can be.
        introspection_endpoint: where it says whether a token works (RFC 7662), if it does.
        token_endpoint_auth_methods: how clients may authenticate; None: it does not say, which means
            `client_secret_basic`.
        grant_types: that it knows; None: it does not say.
        code_challenge_methods: of PKCE; None: it does not say, so that it may know none.
        scopes: that it tells of.
        mtls_endpoint_aliases: addresses of endpoints for clients that show a certificate, by the endpoint's name
            (RFC 8705 section 5).
        takes_client_documents: whether a client may be named by the address of a document about it
            (`client_id_metadata_document_supported`).
    """

    sends_iss: bool
    jwks_uri: str | None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    requires_pushed_requests: bool = False
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    token_endpoint_auth_methods: tuple[str, ...] | None = None
    grant_types: tuple[str, ...] | None = None
    code_challenge_methods: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    takes_client_documents: bool = False
    mtls_endpoint_aliases: Mapping[str, str] = field(default_factory=dict)


def metadata_requests(issuer: str, *, oauth_first: bool = False) -> tuple[QueryRequest, ...]:
    """Return the requests for an issuer's metadata, in the order in which they are to be tried.

    First OpenID Connect's address, since that is where `jwks_uri` is, then the two of RFC 8414 sections 3.1 and 5.

    Args:
        issuer: whose.
        oauth_first: the two of RFC 8414 first: for clients of OAuth 2.0 that know nothing but the issuer.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    addresses = (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
    )
    if oauth_first:
        addresses = (*addresses[1:], addresses[0])
    return tuple(QueryRequest(address, ()) for address in dict.fromkeys(addresses))


def process_metadata(response: RawResponse, issuer: str) -> IssuerMetadata | None:
    """Return what an answer says of an issuer; None if it is none, or another issuer's (RFC 8414 section 3.3)."""
    members = _members(response)
    if members.get("issuer") != issuer:
        return None

    def address(name: str) -> str | None:
        value = members.get(name)
        return value if isinstance(value, str) and value else None

    def texts(name: str) -> tuple[str, ...] | None:
        return text_list(members.get(name))

    return IssuerMetadata(
        sends_iss=members.get("authorization_response_iss_parameter_supported") is True,
        jwks_uri=address("jwks_uri"),
        authorization_endpoint=address("authorization_endpoint"),
        token_endpoint=address("token_endpoint"),
        userinfo_endpoint=address("userinfo_endpoint"),
        end_session_endpoint=address("end_session_endpoint"),
        pushed_authorization_request_endpoint=address("pushed_authorization_request_endpoint"),
        requires_pushed_requests=members.get("require_pushed_authorization_requests") is True,
        registration_endpoint=address("registration_endpoint"),
        revocation_endpoint=address("revocation_endpoint"),
        introspection_endpoint=address("introspection_endpoint"),
        token_endpoint_auth_methods=texts("token_endpoint_auth_methods_supported"),
        grant_types=texts("grant_types_supported"),
        code_challenge_methods=texts("code_challenge_methods_supported"),
        scopes=texts("scopes_supported") or (),
        takes_client_documents=members.get("client_id_metadata_document_supported") is True,
        mtls_endpoint_aliases=_aliases(members.get("mtls_endpoint_aliases")),
    )


def _aliases(said: object) -> dict[str, str]:
    if not isinstance(said, dict):
        return {}
    return {name: said[name] for name in _ALIASED if isinstance(said.get(name), str) and said[name]}


_ALIASED = ("token_endpoint", "revocation_endpoint", "introspection_endpoint")
"""Endpoints whose aliases are used."""


def text_list(value: object) -> tuple[str, ...] | None:
    """Return the texts of a list in metadata, within bounds; None if it is no list."""
    if not isinstance(value, list):
        return None
    texts = (each for each in value if isinstance(each, str) and 0 < len(each) <= _MAX_TEXT)
    return tuple(dict.fromkeys(islice(texts, _MAX_LIST)))


def named_issuer(response: RawResponse) -> str | None:
    """Return whose metadata an answer is, by its own word; None if it is no metadata."""
    issuer = _members(response).get("issuer")
    return issuer if isinstance(issuer, str) and issuer else None


def process_keys(response: RawResponse) -> Sequence[PublicKey] | None:
    """Return the public keys of a JWK Set (RFC 7517 section 5); None if the answer is none."""
    keys = _members(response).get("keys")
    if not isinstance(keys, list):
        return None
    public = (key for key in keys if isinstance(key, dict) and key.get("kty") in _KEY_TYPES)
    return [_used_of(key) for key in islice(public, MAX_KEYS)]


def _used_of(key: PublicKey) -> PublicKey:
    """Return of a key what signatures are checked with, within bounds, since it is kept."""
    return {
        name: value
        for name, value in key.items()
        if name in _KEY_MEMBERS and isinstance(value, str) and len(value) <= _MAX_MEMBER
    }


def _members(response: RawResponse) -> dict[str, Any]:
    if response.status != _OK:
        return {}
    try:
        found = parse_answer(response)
    except NotUnderstood:
        return {}
    return {} if found.cut else found.values
