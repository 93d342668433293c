"""Compares scopes asked for with scopes granted (RFC 6749 sections 3.3, 5.1, 6).

What providers write differently without meaning anything by it is in the tables here (decision 21).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

SCOPE_MEMBERS = ("scope", "scopes", "granted_scopes")
"""Members of a token response that say what was granted; the first that can be read counts."""

_SEPARATORS = re.compile(r"[\s,]+")

_NEVER_ECHOED = frozenset({"openid", "offline_access", "offline"})
"""They ask for an ID token or a refresh token, which come or do not; many servers leave them out of `scope`."""
_STANDS_FOR_OTHERS = "/.default"
"""Microsoft's `…/.default` asks for whatever the application was given; the answer names these scopes instead."""
_PREFIXES = ("https://graph.microsoft.com/",)
"""Left out, or added, by the server that owns them."""
_SAME = {
    "https://www.googleapis.com/auth/userinfo.email": "email",
    "https://www.googleapis.com/auth/userinfo.profile": "profile",
    "https://www.googleapis.com/auth/plus.me": "profile",
}
"""Long names, and the short ones that Google turns into them."""
_COVERED_BY = {
    "public_repo": ("repo",),
    "repo_deployment": ("repo",),
    "security_events": ("repo",),
    "read:user": ("user",),
    "write:org": ("admin:org",),
    "read:org": ("admin:org", "write:org"),
    "write:public_key": ("admin:public_key",),
    "read:public_key": ("admin:public_key", "write:public_key"),
    "write:repo_hook": ("admin:repo_hook",),
    "read:repo_hook": ("admin:repo_hook", "write:repo_hook"),
}
"""GitHub names only the widest of the scopes that were asked for ("normalized scopes")."""
_READ, _WRITE = "read_", "write_"
"""Shopify leaves out `read_products` beside `write_products`."""


def split_scope(text: str) -> tuple[str, ...]:
    """Return the scopes of a text, each once, in its order.

    They are separated by spaces (RFC 6749 section 3.3), or by commas as GitHub, Slack and others do.
    """
    return tuple(dict.fromkeys(item for item in _SEPARATORS.split(text) if item))


def granted_scope(members: Mapping[str, Any], separator: str = " ") -> str | None:
    """Return the scope that a token response names, as one text.

    A text is returned verbatim, an array joined with spaces. An empty one says nothing: no scope is empty (RFC 6749
    section 3.3), and servers that do not support the member send it so.

    Args:
        members: of the token response.
        separator: what the provider writes between scopes; another than a space or a comma, which scopes never have in
            them, becomes a space.

    Returns:
        None when the provider said nothing, which means what was asked for, or at a refresh what was granted before
        (RFC 6749 sections 5.1 and 6).
    """
    for name in SCOPE_MEMBERS:
        value = members.get(name)
        if isinstance(value, list):
            value = " ".join(item.strip() for item in value if isinstance(item, str) and item.strip())
        if isinstance(value, str) and not _SEPARATORS.fullmatch(separator):
            value = " ".join(each for each in value.split(separator) if each)
        if isinstance(value, str) and split_scope(value):
            return value
    return None


def missing_scopes(requested: Iterable[str], granted: str) -> tuple[str, ...]:
    """Return the requested scopes that a provider's answer does not grant, in the order they were asked for.

    Args:
        requested: what was asked for.
        granted: what the answer says, from `granted_scope`.
    """
    had = {_canonical(scope) for scope in split_scope(granted)}
    return tuple(scope for scope in requested if not _is_granted(_canonical(scope), had))


def _canonical(scope: str) -> str:
    """Return a scope as it is compared; Microsoft's differ in case from what was asked for."""
    for prefix in _PREFIXES:
        scope = scope.removeprefix(prefix)
    scope = _SAME.get(scope, scope)
    return scope.casefold()


def _is_granted(scope: str, had: set[str]) -> bool:
    if scope in had or scope in _NEVER_ECHOED or scope.endswith(_STANDS_FOR_OTHERS) or scope == _STANDS_FOR_OTHERS[1:]:
        return True
    if scope.startswith(_READ) and _WRITE + scope.removeprefix(_READ) in had:
        return True
    # `user` covers `user:email`: so with GitHub and Mastodon
    return scope.partition(":")[0] in had or not had.isdisjoint(_COVERED_BY.get(scope, ()))
