"""Templates: `{{NAME}}` in a text stands for a variable (contract section 19.4).

Plain replacement in a single pass: no escaping, no helpers, no nesting. What a value contains is never expanded.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^{}\s]+)[ \t]*\}\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A variable's place in a template."""

    name: str


def template_parts(text: str) -> Iterator[str | Placeholder]:
    """Yield a template's literal texts (never empty) and placeholders, in order."""
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        yield Placeholder(match[1])
        end = match.end()
    if end < len(text):
        yield text[end:]


def placeholders(text: str) -> list[str]:
    """Return the names of a template's variables, in order, with repetitions."""
    return [match[1] for match in _PLACEHOLDER.finditer(text)]


def sole_placeholder(text: str | None) -> str | None:
    """Return the variable's name if a template is exactly one placeholder, else None."""
    match = _PLACEHOLDER.fullmatch(text or "")
    return match[1] if match else None


def render(text: str, context: Mapping[str, str]) -> str:
    """Return a template with its variables replaced; unknown ones become empty."""
    return _PLACEHOLDER.sub(lambda match: context.get(match[1], ""), text)


def unresolved(text: str, context: Mapping[str, str]) -> list[str]:
    """Return the names of a template's variables that are unknown or empty, each once, in order."""
    return [name for name in dict.fromkeys(placeholders(text)) if not context.get(name)]
