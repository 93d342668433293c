"""Compares what is configured with what an authorization server says of itself (RFC 8414; OpenID Connect Discovery)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.client_auth import SIGNED, TokenEndpointAuthMethod
from keyrack.oauth.diagnosis.findings import Finding, Level, Place, Places
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.provider_text import printable
from keyrack.oauth.wire import RawResponse

CHECK = "discovery"
"""Name of these findings."""

_OK = 200
_MOST_SHOWN = 10
_LONGEST = 300
_MOST_VALUES = 2_000
_END_OF_PATH = re.compile(
    r"(/protocol/openid-connect|/oauth2?|/connect|/o)?(/v\d(\.\d)?)?/(oauth/)?(auth|authorize|authorization|token)/?$"
)
"""What servers put behind their issuer's path in their endpoints' addresses."""
_METHOD_OF_SERVERS = {TokenEndpointAuthMethod.CLIENT_SECRET_BASIC_RAW: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC}
_ADDRESSES = {
    "authorization_endpoint": "authorization_endpoint",
    "token_endpoint": "token_endpoint",
    "revocation_endpoint": "revocation_endpoint",
}
"""Members of the metadata, and what the client calls them."""


def likely_issuers(profile: ClientProfile) -> Sequence[str]:
    """Return what the issuer may be called, where nobody has said: the endpoints' addresses without their ends.

    Nothing else than what is at these origins already is asked.
    """
    found: dict[str, None] = {}
    for endpoint in (profile.authorization_endpoint, profile.token_endpoint):
        parts = urlsplit(endpoint)
        if not parts.netloc:
            continue
        origin = f"{parts.scheme}://{parts.netloc}"
        found[f"{origin}{_END_OF_PATH.sub('', parts.path)}".rstrip("/")] = None
    return tuple(found)[:2]


def members_of_metadata(response: RawResponse) -> Mapping[str, Any] | None:
    """Return what a server says of itself; None if the answer is nothing of the kind."""
    if response.status != _OK:
        return None
    try:
        found = parse_answer(response)
    except NotUnderstood:
        return None
    return None if found.cut or not isinstance(found.values.get("issuer"), str) else found.values


def compare(
    metadata: Mapping[str, Any], profile: ClientProfile, scopes: Sequence[str], places: Places
) -> Iterator[Finding]:
    """Yield where a client differs from what its server says of itself.

    Args:
        metadata: from `members_of_metadata`; hostile.
        profile: the client.
        scopes: what it asks for, as far as that is known.
        places: where things are changed.
    """
    differing = [
        *_wrong_issuer(metadata, profile, places),
        *_other_addresses(metadata, profile, places),
        *_unsupported(metadata, profile, places),
        *_unknown_scopes(metadata, scopes, places),
        *_other_iss(metadata, profile, places),
    ]
    yield from differing
    if not differing:
        said = printable(str(metadata["issuer"]), _LONGEST)
        yield Finding(CHECK, Level.ok, f"The client agrees with what {said} says of itself.")


def _wrong_issuer(metadata: Mapping[str, Any], profile: ClientProfile, places: Places) -> Iterator[Finding]:
    if profile.issuer is not None and metadata["issuer"] != profile.issuer:
        seen = f"The server calls itself {printable(str(metadata['issuer']), _LONGEST)}, the client {profile.issuer}."
        yield Finding(CHECK, Level.error, seen, "Set the issuer to what the server says, exactly.", places["issuer"])


def _other_addresses(metadata: Mapping[str, Any], profile: ClientProfile, places: Places) -> Iterator[Finding]:
    """Yield endpoints that the server has elsewhere; of an issuer that was guessed it means less."""
    level = Level.notice if profile.issuer is None else Level.warning
    for member, name in _ADDRESSES.items():
        said, own = metadata.get(member), getattr(profile, name)
        if not isinstance(said, str) or not said:
            continue
        if own is None:
            if name == "revocation_endpoint":
                seen = f"The server revokes tokens at {printable(said, _LONGEST)}; the client does not say so."
                change = "Set the revocation endpoint, so that tokens of deleted connections are revoked."
                yield Finding(CHECK, Level.notice, seen, change, places[name])
        elif own and _plain(said) != _plain(own):
            seen = f"The server has its {member} at {printable(said, _LONGEST)}, the client at {_without_query(own)}."
            yield Finding(CHECK, level, seen, f"Check the client's {name}.", places[name])


def _unsupported(metadata: Mapping[str, Any], profile: ClientProfile, places: Places) -> Iterator[Finding]:
    own = profile.code_authentication
    method: TokenEndpointAuthMethod = _METHOD_OF_SERVERS.get(own.method, own.method)
    lists: list[tuple[str, str | None, Level, Place, str]] = [
        (
            "token_endpoint_auth_methods_supported",
            None if method is TokenEndpointAuthMethod.FIELDS else method.value,
            Level.error,
            places["client_auth"],
            "Let the client authenticate in a way that the server supports.",
        ),
        (
            "code_challenge_methods_supported",
            profile.code_challenge_method if profile.pkce else None,
            Level.warning,
            places["pkce"],
            "Set pkce to false if connecting fails.",
        ),
        ("response_types_supported", "code", Level.error, places["issuer"], "Check that it is the right server."),
        (
            "grant_types_supported",
            "authorization_code",
            Level.error,
            places["issuer"],
            "Check that it is the right server.",
        ),
        ("grant_types_supported", "refresh_token", Level.warning, places["token_endpoint"],
         "Expect that tokens cannot be refreshed, and that people have to connect again."),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            own.signer.algorithm if own.signer is not None and method in SIGNED else None,
            Level.error,
            places["client_auth"],
            "Sign with an algorithm that the server supports.",
        ),
    ]  # fmt: skip
    for member, wanted, level, place, change in lists:
        listed = _texts(metadata.get(member))
        if wanted is not None and listed and wanted not in listed:
            yield Finding(CHECK, level, f"{member} has {_shown(listed)}, not {wanted}.", change, place)
    listed = _texts(metadata.get("code_challenge_methods_supported"))
    if not profile.pkce and "S256" in listed:
        seen = "The server supports PKCE with S256; the client does not use it."
        yield Finding(CHECK, Level.notice, seen, "Leave pkce out, so that it is used.", places["pkce"])


def _unknown_scopes(metadata: Mapping[str, Any], scopes: Sequence[str], places: Places) -> Iterator[Finding]:
    """A server need not list all of its scopes (RFC 8414 section 2)."""
    listed = set(_texts(metadata.get("scopes_supported")))
    unknown = [scope for scope in scopes if scope not in listed]
    if listed and unknown:
        seen = f"scopes_supported has not: {_shown(unknown)}. A server need not list all of its scopes."
        yield Finding("scopes", Level.notice, seen, "Check the spelling of these scopes.", places["scopes"])


def _other_iss(metadata: Mapping[str, Any], profile: ClientProfile, places: Places) -> Iterator[Finding]:
    announced = metadata.get("authorization_response_iss_parameter_supported") is True
    if announced and profile.issuer is None and profile.authorization_endpoint:
        seen = "The server names itself in callbacks (RFC 9207); the client does not say which server is expected."
        change = f"Set the issuer to {printable(str(metadata['issuer']), _LONGEST)}, so that callbacks are checked."
        yield Finding(CHECK, Level.notice, seen, change, places["issuer"])
    elif not announced and profile.sends_iss:
        seen = "The client says that callbacks always name the server (RFC 9207); the server does not say so."
        change = "Take authorization_response_iss_parameter_supported out if callbacks are refused."
        yield Finding(CHECK, Level.warning, seen, change, places["issuer"])


def _texts(value: Any) -> Sequence[str]:
    return [each for each in value[:_MOST_VALUES] if isinstance(each, str)] if isinstance(value, list) else []


def _shown(values: Sequence[str]) -> str:
    more = f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(printable(value, 100) for value in values[:_MOST_SHOWN]) + more


def _plain(address: str) -> str:
    """Return an address as it is compared: without query and case of its host."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return address
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = (parts.hostname or "") if port in (None, usual) else f"{parts.hostname}:{port}"
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _without_query(address: str) -> str:
    return address.partition("?")[0][:_LONGEST]
