"""Converts plain values to records and back; secrets stay unprintable."""

from typing import Any, TypeVar

import msgspec

from keyrack.crypto.secret import MASK, Secret

T = TypeVar("T")


def convert(raw: object, kind: type[T]) -> T:
    """Turn decoded JSON or TOML into a record.

    Raises:
        msgspec.ValidationError: (a ValueError) it does not fit; the message names the place.
    """
    return msgspec.convert(raw, kind, dec_hook=_decode)


def plain(value: object) -> Any:
    """Turn a record into plain values for JSON; a secret becomes a mask."""
    return msgspec.to_builtins(value, enc_hook=_mask)


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("Expected a text")


def _mask(value: object) -> object:
    if isinstance(value, Secret):
        return MASK if value else ""
    raise NotImplementedError
