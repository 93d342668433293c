"""Judges one-time codes at the console: each once, and slowly after wrong ones (RFC 6238 section 5.2, decision 29)."""

import hmac
import re
from datetime import datetime, timedelta
from enum import Enum

from keyrack.crypto.totp import DIGITS, matching_step, recovery_hash
from keyrack.errors import BadRequest, RateLimited
from keyrack.model.identity import Authenticator
from keyrack.store.authenticators import Authenticators

_FREE = 5
"""Wrong codes in a row before one has to wait."""
_LONGEST_WAIT = timedelta(hours=1)
_LONGEST_CODE = 100
_TOTP = re.compile(f"[0-9]{{{DIGITS}}}")


class WrongCode(BadRequest):
    """The code is wrong, or was used before."""


class CodeKind(Enum):
    """What was typed, and right."""

    app = "app"
    recovery = "recovery"


async def judge_code(rows: Authenticators, found: Authenticator, code: str, now: datetime) -> CodeKind | None:
    """Tell whether a code of somebody is right, and use it up; what it changes must be committed if it is wrong, too.

    A wrong one makes the next ones wait, in all processes, so that who has the password cannot guess six digits. A
    recovery code cannot be guessed, never waits, and so lets its owner in while somebody tries.

    Args:
        rows: of the account's tenant; the account is held.
        found: the account's.
        code: what was typed.
        now: the time.

    Raises:
        RateLimited: too many were wrong just now.
    """
    text = "".join(code[:_LONGEST_CODE].split())
    if _TOTP.fullmatch(text) is None:
        return await _recovery(rows, found, text)
    if found.retry_at is not None and found.retry_at > now:
        raise RateLimited(max(1, round((found.retry_at - now).total_seconds())))
    step = matching_step(found.secret, text, now)
    if step is not None and await rows.take_step(found.id, step):
        return CodeKind.app
    wrong = found.wrong_codes + 1
    wait = min(_LONGEST_WAIT, timedelta(minutes=2 ** min(wrong - _FREE, 10))) if wrong >= _FREE else None
    await rows.count_wrong(found.id, wrong, None if wait is None else now + wait)
    return None


async def _recovery(rows: Authenticators, found: Authenticator, text: str) -> CodeKind | None:
    given = recovery_hash(text)
    left = [each for each in found.recovery_hashes if not hmac.compare_digest(each, given)]
    if len(left) == len(found.recovery_hashes):
        return None
    await rows.keep_recovery_codes(found.id, left)
    return CodeKind.recovery
