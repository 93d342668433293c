"""A row that names another which was deleted at the same moment, told as what it is to the caller."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from keyrack.errors import RelatedNotFound

GONE = "a resource that this belongs to has just been deleted"
_REFERS = ("INSERT", "UPDATE")  # a DELETE that a foreign key forbids is a fault of ours


@contextmanager
def vanished_named() -> Iterator[None]:
    """Turn a foreign key that leads nowhere into a refusal; the transaction is lost either way.

    What a request names is looked up before it is written down. Somebody else may delete it in between.

    Raises:
        RelatedNotFound: what a new or changed row refers to is gone.
    """
    try:
        yield
    except IntegrityError as error:
        if _leads_nowhere(error):
            raise RelatedNotFound(GONE) from error
        raise


def _leads_nowhere(error: IntegrityError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    broken = code == "23503" or "FOREIGN KEY constraint failed" in str(error.orig)
    return broken and (error.statement or "").lstrip().upper().startswith(_REFERS)
