"""The form in which texts are searched and names are sorted."""

import unicodedata


def search_key(text: str) -> str:
    """Return a text without what searching ignores: caseless as Unicode says, so every database compares alike."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
