"""Parses the `oauth2` and `oauth1` members of a descriptor (contract sections 19.1, 19.2 and 21)."""

from typing import Any

from keyrack.descriptor.model import OAuth1Block, OAuth2Block
from keyrack.descriptor.reader import Json, Reader
from keyrack.descriptor.text import NOT_A_PARAMETER, is_lost, parameter_value
from keyrack.validation.json_types import wrong_type
from keyrack.validation.pointer import join

SENDS_ISS = "authorization_response_iss_parameter_supported"
"""RFC 9207 section 3; beside `issuer` it says whether every callback names it, whatever the metadata says."""

ACCOUNT_MEMBERS = ("userinfo_uri", "account_label_path", "account_subject_path")
"""Members of `oauth2` that say where the provider tells whose account it is (decision 33)."""
PROFILE = "provider_profile"
"""Member of `oauth2` that says how its provider wants to be talked to (decision 38)."""
OAUTH2_MEMBERS = (
    "client_id", "client_secret", "auth_uri", "token_uri", "scopes", "scope", "client_auth", "pkce", "issuer",
    SENDS_ISS, *ACCOUNT_MEMBERS, PROFILE,
)  # fmt: skip
"""Members of `oauth2` that are read; all others are parameters of the authorization request."""
OAUTH1_MEMBERS = (
    "consumer_key", "consumer_secret", "request_token_uri", "auth_uri", "access_token_uri", "signature_method",
)  # fmt: skip
"""Members of `oauth1` that are read."""
_SCOPES = "an array of strings or a string"
CLIENT_AUTH = ("basic", "basic_raw", "none", "post")
"""Words of `client_auth` (contract sections 19.2 and 0.23); any other that is stored counts as `post`."""
SIGNATURE_METHODS = ("HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT")
"""Words of `signature_method` (RFC 5849 section 3.4); any other that is stored counts as the first (decision 15)."""


class _Merged:
    """A block looked up in `credentials`, then at top level, member by member; null counts as absent."""

    def __init__(self, reader: Reader, name: str, raw: Json, credentials: Json) -> None:
        self._reader = reader
        inner, outer = reader.mapping(credentials, name, "/credentials"), reader.mapping(raw, name, "")
        self.present = inner is not None or outer is not None
        self._places = ((inner or {}, f"/credentials/{name}"), (outer or {}, f"/{name}"))

    def place(self, name: str) -> tuple[Json, str]:
        """Return the object that has a member, and that object's pointer."""
        for owner, base in self._places:
            if owner.get(name) is not None:
                return owner, base
        return self._places[0]

    def string(self, name: str) -> str | None:
        owner, base = self.place(name)
        return self._reader.string(owner, name, base)

    def members(self) -> dict[str, Any]:
        (inner, _), (outer, _) = self._places
        return dict(outer) | {name: value for name, value in inner.items() if value is not None}


def oauth2_block(reader: Reader, raw: Json, credentials: Json) -> OAuth2Block | None:
    """Return the `oauth2` block, or None when neither place has one."""
    block = _Merged(reader, "oauth2", raw, credentials)
    if not block.present:
        return None
    owner, base = block.place("pkce")
    sends_iss = block.place(SENDS_ISS)
    extra = {name: value for name, value in block.members().items() if name not in OAUTH2_MEMBERS}
    for name, value in extra.items():
        if is_lost(name, value):
            reader.note_loss(NOT_A_PARAMETER, join(block.place(name)[1], name))
    client_auth = block.string("client_auth")
    if client_auth and client_auth not in CLIENT_AUTH:
        at = join(block.place("client_auth")[1], "client_auth")
        reader.note_loss(f"must be one of {', '.join(CLIENT_AUTH)}", at)
    return OAuth2Block(
        client_id=block.string("client_id"),
        client_secret=block.string("client_secret"),
        auth_uri=block.string("auth_uri"),
        token_uri=block.string("token_uri"),
        scopes=_scopes(reader, block),
        client_auth=client_auth,
        pkce=reader.boolean(owner, "pkce", base, default=True),
        issuer=block.string("issuer"),
        sends_iss=reader.boolean(sends_iss[0], SENDS_ISS, sends_iss[1])
        if sends_iss[0].get(SENDS_ISS) is not None
        else None,
        **{name: block.string(name) for name in ACCOUNT_MEMBERS},
        provider_profile=block.place(PROFILE)[0].get(PROFILE),
        extra={name: sent for name, value in extra.items() if (sent := parameter_value(name, value)) is not None},
    )


def member_pointer(raw: Json, block: str, member: str) -> str:
    """Return where a member of a block stands in a parsed descriptor, or where it would, if it is missing."""
    credentials = raw.get("credentials") or {}
    inner, outer = credentials.get(block), raw.get(block)
    outside = inner is None or ((inner or {}).get(member) is None and (outer or {}).get(member) is not None)
    return join(f"/{block}" if outside else f"/credentials/{block}", member)


def oauth1_block(reader: Reader, raw: Json, credentials: Json) -> OAuth1Block | None:
    """Return the `oauth1` block, or None when neither place has one."""
    block = _Merged(reader, "oauth1", raw, credentials)
    if not block.present:
        return None
    method = block.string("signature_method")
    if method and method not in SIGNATURE_METHODS:
        at = join(block.place("signature_method")[1], "signature_method")
        reader.note_loss(f"must be one of {', '.join(SIGNATURE_METHODS)}", at)
    return OAuth1Block(
        consumer_key=block.string("consumer_key"),
        consumer_secret=block.string("consumer_secret"),
        request_token_uri=block.string("request_token_uri"),
        auth_uri=block.string("auth_uri"),
        access_token_uri=block.string("access_token_uri"),
        signature_method=method if method in SIGNATURE_METHODS else None,
    )


def _scopes(reader: Reader, block: _Merged) -> tuple[str, ...] | str | None:
    """Return `scopes`; without it `scope`, as the parameter itself is called (RFC 6749 section 3.3)."""
    for name in ("scopes", "scope"):
        owner, base = block.place(name)
        value = owner.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return reader.strings(owner, name, base)
        if value is not None:
            if name == "scopes":
                reader.note(wrong_type(_SCOPES, value), join(base, name))
            else:
                reader.note_loss(wrong_type(_SCOPES, value), join(base, name))
    return None
