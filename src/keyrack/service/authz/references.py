"""What the body of a request names, and is not there (contract section 3)."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyrack.errors import NotFound, RelatedNotFound


@contextmanager
def named_in_body(kind: str) -> Iterator[None]:
    """Tell of a place that is not there that the body of a request names it, and not the path.

    Args:
        kind: the relationship that names it, such as `contract`.

    Raises:
        RelatedNotFound: instead of `NotFound`, with the pointer of the relationship.
    """
    try:
        yield
    except NotFound:
        pointer = f"/data/relationships/{kind}/data/id"
        raise RelatedNotFound(f"there is no such {kind}", pointer=pointer) from None
