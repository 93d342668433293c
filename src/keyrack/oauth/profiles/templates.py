"""Templates of provider profiles: `{name}` in a text stands for an input, for what was learned, or a random text."""

import re
from collections.abc import Iterator, Mapping

from keyrack.oauth.profiles.request_parts import Template

RANDOM = "random"
"""Stands for a new random text each time."""
ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a placeholder
"""Stands for the token that is exchanged, in the request that does that."""
TOKEN = "token"  # noqa: S105 - the name of a placeholder
"""Stands for the token that is revoked, in the request that does that."""
CLIENT_ID, CLIENT_SECRET = "client_id", "client_secret"

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
"""`{name}`, with the name in a group."""


def alternatives(template: Template) -> list[str]:
    """Return the texts of a template, in the order in which they are tried."""
    return [template] if isinstance(template, str) else list(template)


def placeholders(template: Template) -> Iterator[str]:
    """Yield the names that a template has in any of its alternatives, with repetitions."""
    for text in alternatives(template):
        yield from PLACEHOLDER.findall(text)


def filled(template: Template, values: Mapping[str, str]) -> str | None:
    """Return the first alternative whose placeholders all have a value, with these; None if there is none.

    What a value has is never taken for a placeholder.
    """
    for text in alternatives(template):
        if all(values.get(name) for name in PLACEHOLDER.findall(text)):
            return PLACEHOLDER.sub(lambda found: values[found[1]], text)
    return None
