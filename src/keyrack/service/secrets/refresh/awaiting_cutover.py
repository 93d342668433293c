"""Refuses to ask the provider of a grant that another system still renews (decision 52)."""

from keyrack.errors import StateConflict
from keyrack.model.secrets import AuthSecret

_AWAITS = "the secret was imported, and its provider is asked nothing before its import is cut over"


def require_cut_over(secret: AuthSecret) -> None:
    """Insist that a secret's tokens are Keyrack's to renew.

    Raises:
        StateConflict: it was imported, and its import has not been cut over.
    """
    if secret.cutover_batch_id is not None:
        raise StateConflict(_AWAITS)
