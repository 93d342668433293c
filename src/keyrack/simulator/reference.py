"""Makes the reference of all behaviours from the code, for the documentation and the control API."""

from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec

from keyrack.simulator.behaviour import FIELDS, Behaviour, ErrorCode, group_of, meta_of

_NAMES = {bool: "flag", int: "integer", str: "text", dict: "object", tuple: "list", NoneType: "null"}


def entries() -> list[dict[str, Any]]:
    """Return one entry for each behaviour: `name`, `group`, `values`, `default`, `description`."""
    defaults = msgspec.json.decode(msgspec.json.encode(msgspec.structs.asdict(Behaviour())))
    return [
        {
            "name": name,
            "group": group_of(name),
            "values": _values(FIELDS[name].__origin__),
            "default": defaults[name],
            "description": meta_of(name).description,
        }
        for name in FIELDS
    ]


def table() -> str:
    """Return the reference as a Markdown table; docs/simulator.md holds exactly this."""
    head = "| behaviour | group | values | default | what happens |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{entry['name']}` | {entry['group']} | {', '.join(entry['values'])} | {_default(entry['default'])} "
        f"| {entry['description']} |\n"
        for entry in entries()
    )


def _values(kind: Any) -> list[str]:
    if get_origin(kind) is not Literal:
        return [_NAMES[get_origin(kind) or kind]]
    choices = [choice for choice in get_args(kind) if choice]
    if set(choices) == set(get_args(ErrorCode)):
        return ["an OAuth error code"]
    return [f"`{choice}`" for choice in choices]


def _default(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`" if value or value == 0 else "none"
