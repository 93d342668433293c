"""A value of a request that is validated only when a use case asks for it (contract section 3, evaluation order)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Unvalidated(Generic[T_co]):
    """A value from a request's body that is validated only when it is asked for.

    The contract judges whether the caller may do something before it judges what the body says (section 3, evaluation
    order): who may not gets 403 or 404, however wrong the body is. So a use case takes an `Unvalidated[NewThing]`,
    finds the place, requires the permission, and then calls `validated`.

    Attributes:
        validate: makes the value out of the body, or raises what is wrong with it.
    """

    validate: Callable[[], T_co]

    def validated(self) -> T_co:
        """Validate the body and return the value.

        Raises:
            ValidationFailed, TypeConflict, IdConflict: what is wrong with the body; see `keyrack.api.core.body`.
        """
        return self.validate()
