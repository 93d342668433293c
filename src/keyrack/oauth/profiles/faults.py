"""Says what is wrong with patterns, headers and names of a provider profile, wherever they stand in it."""

import re
from collections.abc import Collection, Iterator

import regex

from keyrack.errors import Problem

MOST_LEARNED = 10
"""Names under which something of one answer is kept."""
WORD = re.compile(r"[A-Za-z0-9_-]{1,50}")
_LONGEST_PATTERN = 300
_MOST_REPEATS = 10_000
"""What the counts of repetition in a pattern may come to together: compiling takes as long as that."""
_COUNT = re.compile(r"\{(\d+)?,?(\d+)?\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NOT_HEADERS = frozenset(
    {
        "host", "connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "cookie", "accept-encoding",
        "keep-alive", "dpop",
    }
)  # fmt: skip
"""Headers that say how a message is sent, on connections that others use too (RFC 9112), or that Keyrack signs."""
_OF_TOKENS = frozenset({"access_token", "refresh_token", "expires_in", "scope", "token_type", "id_token"})
"""Members of an answer that mean something by themselves (RFC 6749 section 5.1)."""


def wrong_pattern(pattern: str, pointer: str) -> Iterator[Problem]:
    """Yield what is wrong with a regular expression, which may be anybody's."""
    if len(pattern) > _LONGEST_PATTERN or _repeats(pattern) > _MOST_REPEATS:
        yield Problem("is too long, or repeats too much", pointer)
        return
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError):
        yield Problem("is no regular expression", pointer)


def wrong_headers(names: Collection[str], pointer: str) -> Iterator[Problem]:
    """Yield headers of a request that a profile cannot set.

    Args:
        names: of the headers.
        pointer: of the request.
    """
    for name in names:
        taken = name.lower() in _NOT_HEADERS or name.lower().startswith("content-")
        if taken or _HEADER.fullmatch(name) is None:
            yield Problem("is no header that a profile can set", f"{pointer}/headers/{name}")


def wrong_names(names: Collection[str], pointer: str) -> Iterator[Problem]:
    """Yield names under which nothing can be kept with a connection: nothing takes the place of tokens.

    Args:
        names: all of one answer.
        pointer: of the object that has them.
    """
    if len(names) > MOST_LEARNED:
        yield Problem(f"may have {MOST_LEARNED} members at most", pointer)
    for name in names:
        if name in _OF_TOKENS or WORD.fullmatch(name) is None:
            yield Problem("is no name that can be kept", f"{pointer}/{name}")


def _repeats(pattern: str) -> int:
    """Return what the counts of repetition in a pattern come to if each stands in the one before."""
    product = 1
    for least, most in _COUNT.findall(pattern):
        product *= max(1, int((most or least or "1")[:9]))
    return product
