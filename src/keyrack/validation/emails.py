"""Compares emails, and refuses those that a reader takes for another.

A profile of what PRECIS does for user names (RFC 8265 section 3.3, UsernameCaseMapped), made of the standard library's
Unicode tables. Emails are compared as NFKC with case folding (Unicode section 3.13, NFKC_Casefold) has them, so NFC and
NFD, full-width letters, the Kelvin sign and the long s make no difference; dotted and dotless i are one letter; a
domain is the same in Unicode and in its ASCII form (RFC 5890). What is not seen, or mixes alphabets in a word, is
refused when it is new.
"""

import re
import unicodedata
from itertools import pairwise

from keyrack.visible import visible

LONGEST_EMAIL = 320
"""Characters at most of what `email_key` returns, which may be longer than the email (RFC 5321 section 4.5.3.1)."""

_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What input methods write for the dots of a domain (RFC 3490 section 3.1)."""
_I = str.maketrans({"\u0131": "i"})
_DOTTED_I = re.compile("i\u0307+")
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC")
"""Those with letters that look alike."""
_WORD_ENDS = re.compile(r"[@.\-_+]")
_ACE = "xn--"


def email_key(email: str) -> str:
    """Return the form in which emails are compared (contract section 2); of any text, also one that is no email."""
    if email.isascii() and _ACE not in email.lower():
        return email.lower()
    local, at, domain = _folded(email).rpartition("@")
    labels = ".".join(_in_unicode(label) for label in domain.translate(_DOTS).split("."))
    return local + at + labels


def fault_of(email: str) -> str | None:
    """Return what is wrong with an email that somebody gives, for a person; None if it can be stored."""
    folded = _folded(email)
    if re.fullmatch(r"[^@:\s]+@[^@:\s]+", email) is None or re.fullmatch(r"[^@:\s]+@[^@:\s]+", folded) is None:
        return "an email has an @ and neither spaces nor colons"
    if visible(email) != email or any(unicodedata.category(letter) == "Cn" for letter in email):
        return "an email has no characters that are not seen"
    if any(_mixes_alphabets(word) for word in _WORD_ENDS.split(email_key(email))):
        return "an email does not mix letters of several alphabets in a word"
    return None


def _folded(text: str) -> str:
    """Return NFKC_Casefold of a text, and dotted and dotless i as one."""
    seen = "".join(letter for letter in unicodedata.normalize("NFD", text) if visible(letter) == letter)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    folded = unicodedata.normalize("NFKC", folded.casefold()).translate(_I)
    return unicodedata.normalize("NFC", _DOTTED_I.sub("i", folded))


def _in_unicode(label: str) -> str:
    if not label.startswith(_ACE):
        return label
    try:
        return _folded(label.removeprefix(_ACE).encode("ascii").decode("punycode")) or label
    except UnicodeError:  # no such name exists
        return label


def _mixes_alphabets(word: str) -> bool:
    found = [unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()]
    alphabets = [alphabet for alphabet in found if alphabet in _ALPHABETS]
    return any(one != other for one, other in pairwise(alphabets))
