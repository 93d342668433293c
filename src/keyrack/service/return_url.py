"""Where the browser goes after a consent: back to our own host and nowhere else (contract 0.7, 20.4)."""

from urllib.parse import urlencode, urlsplit

from keyrack.errors import Problem, ValidationFailed


def require_same_host(return_url: str, base: str) -> None:
    """Insist that a return URL is on our own host, else the callback would be an open redirector.

    Raises:
        ValidationFailed: it is elsewhere, or not a plain URL.
    """
    try:
        given, own = urlsplit(return_url), urlsplit(base)
        same = (given.scheme, given.netloc) == (own.scheme, own.netloc) and given.username is None
    except ValueError:
        same = False
    if not same or "\\" in return_url or any(ord(character) <= 0x20 for character in return_url):  # noqa: PLR2004
        raise ValidationFailed(Problem(f"must be an address on {base}", "/data/attributes/return_url"))


def with_result(return_url: str | None, parameter: str, result_id: str) -> str | None:
    """Return a return URL with the id of what was made, its own query and fragment kept."""
    if return_url is None:
        return None
    base, hash_sign, fragment = return_url.partition("#")
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}{urlencode({parameter: result_id})}{hash_sign}{fragment}"
