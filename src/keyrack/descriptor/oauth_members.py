"""Lists the texts of the block that a consent would use, each with its place in the descriptor."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from keyrack.descriptor.model import Descriptor, OAuth1Block
from keyrack.descriptor.oauth_blocks import member_pointer
from keyrack.validation.pointer import join

_OAUTH2_TEXTS = ("client_id", "client_secret", "auth_uri", "token_uri", "issuer", "userinfo_uri")


@dataclass(frozen=True, slots=True)
class Member:
    """A text of a block.

    Attributes:
        name: of the member.
        text: may be a template; empty where the member is missing.
        pointer: where it stands in the descriptor, or would stand.
    """

    name: str
    text: str
    pointer: str


def members_of(descriptor: Descriptor) -> Iterator[Member]:
    """Yield the texts of `oauth2`, or of `oauth1` where there is no `oauth2`; nothing where there is neither."""
    oauth2, oauth1, raw = descriptor.oauth2, descriptor.oauth1, descriptor.raw
    if oauth2 is None:
        for item in fields(OAuth1Block) if oauth1 is not None else ():
            text = getattr(oauth1, item.name) or ""
            yield Member(item.name, text, member_pointer(raw, "oauth1", item.name))
        return
    for name in _OAUTH2_TEXTS:
        yield Member(name, getattr(oauth2, name) or "", member_pointer(raw, "oauth2", name))
    for name, value in oauth2.extra.items():
        if isinstance(value, str):
            yield Member(name, value, member_pointer(raw, "oauth2", name))
    named = next((name for name in ("scopes", "scope") if _has(descriptor, name)), "scopes")
    at = member_pointer(raw, "oauth2", named)
    if isinstance(oauth2.scopes, str):
        yield Member(named, oauth2.scopes, at)
    else:
        for index, scope in enumerate(oauth2.scopes or ()):
            yield Member(named, scope, join(at, index))


def _has(descriptor: Descriptor, name: str) -> bool:
    credentials = descriptor.raw.get("credentials") or {}
    blocks = (credentials.get("oauth2"), descriptor.raw.get("oauth2"))
    return any(block is not None and block.get(name) is not None for block in blocks)
