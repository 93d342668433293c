"""Parses the `oauth2` and `oauth1` members of a descriptor (contract sections 19.1, 19.2 and 21)."""

from typing import Any

from keyrack.descriptor.model import OAuth1Block, OAuth2Block
from keyrack.descriptor.reader import Json, Reader
from keyrack.descriptor.text import NOT_A_PARAMETER, is_lost, parameter_value
from keyrack.validation.pointer import join

SENDS_ISS = "authorization_response_iss_parameter_supported"
"""RFC 9207 section 3; beside `issuer` it says whether every callback names it, whatever the metadata says."""

_OAUTH2_MEMBERS = frozenset(
    {"client_id", "client_secret", "auth_uri", "token_uri", "scopes", "scope", "client_auth", "pkce", "issuer"}
    | {SENDS_ISS},
)


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
    extra = {name: value for name, value in block.members().items() if name not in _OAUTH2_MEMBERS}
    for name, value in extra.items():
        if is_lost(name, value):
            reader.note_loss(NOT_A_PARAMETER, join(block.place(name)[1], name))
    return OAuth2Block(
        client_id=block.string("client_id"),
        client_secret=block.string("client_secret"),
        auth_uri=block.string("auth_uri"),
        token_uri=block.string("token_uri"),
        scopes=_scopes(reader, block),
        client_auth=block.string("client_auth"),
        pkce=reader.boolean(owner, "pkce", base, default=True),
        issuer=block.string("issuer"),
        sends_iss=reader.boolean(sends_iss[0], SENDS_ISS, sends_iss[1])
        if sends_iss[0].get(SENDS_ISS) is not None
        else None,
        extra={name: sent for name, value in extra.items() if (sent := parameter_value(name, value)) is not None},
    )


def oauth1_block(reader: Reader, raw: Json, credentials: Json) -> OAuth1Block | None:
    """Return the `oauth1` block, or None when neither place has one."""
    block = _Merged(reader, "oauth1", raw, credentials)
    if not block.present:
        return None
    return OAuth1Block(
        consumer_key=block.string("consumer_key"),
        consumer_secret=block.string("consumer_secret"),
        request_token_uri=block.string("request_token_uri"),
        auth_uri=block.string("auth_uri"),
        access_token_uri=block.string("access_token_uri"),
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
                reader.note("must be an array of strings or a string", join(base, name))
            else:
                reader.note_loss("must be an array of strings or a string", join(base, name))
    return None
