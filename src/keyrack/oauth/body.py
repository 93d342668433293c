"""The body of a token response as a mapping, however it is written."""

import json
import math
from typing import Any
from urllib.parse import parse_qsl

_MAX_DEPTH = 32
_MAX_FIELDS = 1000
_MAX_DIGITS = 400


class NotUnderstood(ValueError):
    """The body is neither a JSON object nor form-encoded."""


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the members of a token response.

    JSON is tried first whatever the media type says, then `application/x-www-form-urlencoded` (contract section
    20.3): servers label either as `text/html` or `text/plain`. Of duplicate members the last counts. Numbers
    that JSON cannot hold and values nested deeper than 32 become None, lone surrogates `?`: the result can always be
    stored, and an odd member beside a token never costs the token.

    Raises:
        NotUnderstood: for anything else, such as a page of HTML or an array.
    """
    try:
        parsed = json.loads(body, parse_constant=lambda _: None, parse_float=_finite, parse_int=_integer)
    except RecursionError:
        raise NotUnderstood from None
    except ValueError:  # not JSON, or not text
        return _parse_form(body)
    if not isinstance(parsed, dict):
        raise NotUnderstood
    return {_text(name): _storable(value, 1) for name, value in parsed.items()}


def _parse_form(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace").strip()
    # Markup and broken JSON also contain `=` and `&`; only what looks like a form is read as one.
    if "=" not in text or text[0] in '<{["':
        raise NotUnderstood
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise NotUnderstood from None
    return dict(pairs)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict | list) and depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_text(name): _storable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    return value
