"""Fills in texts as docs/providers.md has them: `{name}` stands for a value, a list for alternatives."""

import re
from collections.abc import Mapping

from keyrack.oauth.profiles.request_parts import Template

_NAMED = re.compile(r"\{([A-Za-z_][\w.-]*)\}", re.ASCII)
_RANDOM = "random"
_RANDOM_TEXT = r"[A-Za-z0-9_-]{8,200}"


def variants(template: Template) -> tuple[str, ...]:
    """Return the alternatives of a text, in the order in which they count."""
    return (template,) if isinstance(template, str) else tuple(template)


def chosen(template: Template, values: Mapping[str, str]) -> str | None:
    """Return the first alternative whose placeholders all have a value, not yet filled in; None if there is none."""
    for text in variants(template):
        if all(name == _RANDOM or values.get(name) for name in _NAMED.findall(text)):
            return text
    return None


def written(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its placeholders replaced by values."""
    return _NAMED.sub(lambda found: values.get(found[1], found[0]), text)


def form_of(text: str, values: Mapping[str, str]) -> "re.Pattern[str] | None":
    """Return what a text with a random part must look like; None for one without."""
    if _RANDOM not in _NAMED.findall(text):
        return None
    parts = _NAMED.split(text)  # texts and names in turn
    forms = [
        re.escape(part) if place % 2 == 0 else _RANDOM_TEXT if part == _RANDOM else re.escape(values[part])
        for place, part in enumerate(parts)
    ]
    return re.compile("".join(forms))
