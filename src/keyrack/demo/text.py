"""Formats what the demo prints: JSON in few lines, answers with secrets masked, commands that a shell takes."""

import html
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from keyrack.visible import visible

_SECRET_MEMBERS = re.compile(r"(secret|token|password|api_key|verifier)$", re.IGNORECASE)
_SECRET_PARAMETERS = {"state", "code", "code_challenge"}
_SHOWN = 4
_STEP = 2


def mask(value: str) -> str:
    """Return the first characters of a secret, or none of a short one."""
    return f"{value[:_SHOWN]}…" if len(value) > 2 * _SHOWN else "…"


def masked(value: Any, name: str = "") -> Any:
    """Return a JSON value without the secrets in it; templates such as `{{APP_SECRET}}` are none."""
    if isinstance(value, Mapping):
        return {key: masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, name) for inner in value]
    if isinstance(value, str) and _SECRET_MEMBERS.search(name) and "{{" not in value:
        return mask(value)
    if isinstance(value, str) and "://" in value and "?" in value:
        return masked_address(value)
    return value


def masked_address(address: str) -> str:
    """Return an address with the secret parameters of its query masked."""
    parts = urlsplit(address)
    query = "&".join(
        f"{name}={mask(value) if name in _SECRET_PARAMETERS else quote(value, safe=':/')}"
        for name, value in parse_qsl(parts.query)
    )
    return visible(parts._replace(query=query).geturl())


def laid_out(value: Any, width: int, margin: int = 0, taken: int = 0) -> str:
    """Return JSON text in which whatever fits into a line stands in one.

    Args:
        value: what to write.
        width: characters a line may have; a longer text value is not broken.
        margin: what the lines after the first are indented by.
        taken: characters that stand in the first line already.
    """
    flat = visible(json.dumps(value, ensure_ascii=False))
    if max(margin, taken) + len(flat) < width or not value or not isinstance(value, Mapping | list):
        return flat
    inner = margin + _STEP
    if isinstance(value, Mapping):
        names = [f"{visible(json.dumps(name))}: " for name in value]
        items = [
            name + laid_out(item, width, inner, inner + len(name))
            for name, item in zip(names, value.values(), strict=True)
        ]
        opening, closing = "{", "}"
    else:
        items = [laid_out(item, width, inner) for item in value]
        opening, closing = "[", "]"
    pad = " " * inner
    lines = f",\n{pad}".join(items)
    return f"{opening}\n{pad}{lines}\n{' ' * margin}{closing}"


def curl(login: str, method: str, address: str, body: Any, width: int) -> list[str]:
    """Return the `curl` line that makes a call, in as many lines as it needs.

    Args:
        login: the shell variable that holds user name and API key.
        method: the HTTP method.
        address: may begin with a shell variable.
        body: what to send as JSON; None for nothing.
        width: characters a line should have.
    """
    verb = "" if method == "GET" else f" -X {method}"
    lines = [f'curl -u "${login}"{verb} "{address}"']
    if len(lines[0]) > width:
        lines = [f'curl -u "${login}"{verb} \\', f'  "{address}"']
    if body is None:
        return lines
    text = shlex.quote(laid_out(body, width, _STEP, len("  -d '")))
    return [*lines[:-1], f"{lines[-1]} \\", "  -H 'content-type: application/json' \\", *f"  -d {text}".splitlines()]


def joined(words: Sequence[str], width: int) -> list[str]:
    """Return a command in as many lines as it needs, as a shell takes them.

    Args:
        words: of the command, quoted where they must be.
        width: characters a line should have.
    """
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + len("  \\") > width:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}"
    return lines


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Return at most so many lines, and how many were left out."""
    if len(lines) <= most + 1:
        return list(lines)
    return [*lines[:most], f"… {len(lines) - most} more lines"]


def page_text(page: str) -> str:
    """Return what an HTML page says, in one line, with nothing unseen in it."""
    body = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return visible(" ".join(html.unescape(body).split()))
