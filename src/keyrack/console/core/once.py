"""Lets a form that creates be sent twice, and make one thing (`keyrack.model.once`).

The form has a hidden field with what was chosen when it was shown, and a proof that this browser was shown it, made
with a key that only the server knows: nobody chooses the ids of things.
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from keyrack.console.core.forms import Form
from keyrack.console.core.requests import FormNotOurs
from keyrack.console.core.visit import Visit
from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, IdConflict, NotFound
from keyrack.ids import is_id, new_id
from keyrack.model.once import Once

FIELD = "once"

T = TypeVar("T")


def new_once(visit: Visit) -> str:
    """Return the value of the hidden field of a form that is shown for the first time."""
    value = f"{new_id()}.{secrets.token_urlsafe(32)}"
    return f"{value}.{_proof(visit, value)}"


def once_of(visit: Visit, form: Form) -> Once:
    """Return what a form was shown with.

    Raises:
        FormNotOurs: this browser was shown no such form since it signed in.
    """
    value, _, proof = form.get(FIELD, "").rpartition(".")
    made_id, _, seed = value.partition(".")
    if not is_id(made_id) or not hmac.compare_digest(_proof(visit, value).encode(), proof.encode("utf-8", "replace")):
        raise FormNotOurs
    return Once(made_id, Secret(seed))


async def made_once(find: Callable[[], Awaitable[T]], make: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
    """Make something unless the same form has made it already; return it, and whether it was made now.

    Args:
        find: returns what has the form's id, or raises `NotFound`.
        make: makes it with that id.
    """
    with suppress(NotFound):
        return await find(), False
    try:
        return await make(), True
    except (AlreadyExists, IdConflict):
        with suppress(NotFound):  # by the same form at this moment
            return await find(), False
        raise


def _proof(visit: Visit, value: str) -> str:
    cookie = visit.console.cookie(visit.request)
    browser = "" if cookie is None else cookie.value.reveal()
    told = f"{browser} {value}".encode("utf-8", "replace")
    return hashlib.blake2b(told, key=visit.form_key, digest_size=16, person=b"keyrack once").hexdigest()
