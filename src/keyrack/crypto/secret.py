"""A secret text that cannot print itself."""

import hmac
from typing import NoReturn

MASK = "***"


class Secret:
    """Holds a secret text; shows `***` wherever it is printed, formatted, logged or pickled.

    The value comes out only through `reveal()`, so that every place that handles clear text can be found
    by that name.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the clear text."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def derived(seed: Secret, purpose: str) -> bytes:
    """Return 32 bytes that are always the same for a seed and a purpose, and tell nothing of either.

    So what a form makes is made of the form's own seed: one that is sent twice makes one secret, and whoever sent it is
    shown that in any case.

    Args:
        seed: 256 random bits.
        purpose: what the bytes are for; those for another purpose are others.
    """
    return hmac.digest(seed.reveal().encode(), f"keyrack {purpose}".encode(), "sha256")
