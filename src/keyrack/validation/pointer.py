"""Writes JSON pointers (RFC 6901)."""


def join(base: str, *tokens: str | int) -> str:
    """Return the pointer that follows `tokens` from `base`; `~` and `/` in a token are escaped."""
    escaped = (str(token).replace("~", "~0").replace("/", "~1") for token in tokens)
    return "/".join((base, *escaped))
