"""A descriptor as anyone who sees the component may read it (contract section 13.1)."""

from collections.abc import Mapping
from typing import Any

from keyrack.descriptor.template import sole_placeholder

_SECRET_MEMBERS = frozenset({"client_secret", "consumer_secret"})
_BLOCKS = frozenset({"oauth2", "oauth1"})


def public(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a descriptor without literal secrets.

    Everything passes through, except any `client_secret` or `consumer_secret` that is not exactly one `{{NAME}}`.
    Outside the protocol blocks an object of that name stays: it describes a field, and is itself searched.

    Args:
        raw: a descriptor that `parse` accepted, so that its depth is bounded.
    """
    return {
        name: _clean(value, in_block=name in _BLOCKS)
        for name, value in raw.items()
        if not _is_literal_secret(name, value, in_block=False)
    }


def _clean(value: Any, *, in_block: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _clean(item, in_block=in_block or name in _BLOCKS)
            for name, item in value.items()
            if not _is_literal_secret(name, item, in_block=in_block)
        }
    if isinstance(value, list):
        return [_clean(item, in_block=in_block) for item in value]
    return value


def _is_literal_secret(name: str, value: object, *, in_block: bool) -> bool:
    if name not in _SECRET_MEMBERS:
        return False
    if isinstance(value, Mapping | list):
        return in_block or isinstance(value, list)
    return not (isinstance(value, str) and sole_placeholder(value) is not None)
