"""Says which passwords people may choose for the console (decision 28)."""

import unicodedata

from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.emails import email_key

SHORTEST = 12
LONGEST = 1024
"""Characters; long enough for any phrase, short enough to be hashed as fast as others."""
_FEWEST_LETTERS = 5


def normal_password(text: str) -> Secret:
    """Return a password as it is hashed: the same however a keyboard writes it (NFKC, as NIST SP 800-63B asks)."""
    return Secret(unicodedata.normalize("NFKC", text))


def require_good_password(password: Secret, email: str) -> None:
    """Insist that a password cannot be guessed at once. There are no rules about kinds of characters.

    Args:
        password: what somebody has chosen, as `normal_password` returned it.
        email: whose it is to be.

    Raises:
        ValidationFailed: it is too short or long, cannot be typed, is the email, or repeats a few characters.
    """
    text = password.reveal()
    if len(text) < SHORTEST:
        raise ValidationFailed(Problem(f"a password has at least {SHORTEST} characters"))
    if len(text) > LONGEST:
        raise ValidationFailed(Problem(f"a password has at most {LONGEST} characters"))
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValidationFailed(Problem("a password has no control characters"))
    if len(set(text.casefold())) < _FEWEST_LETTERS:
        raise ValidationFailed(Problem(f"a password has at least {_FEWEST_LETTERS} different characters"))
    if text.casefold() in (email.casefold(), email_key(email)):
        raise ValidationFailed(Problem("a password is not the email"))
