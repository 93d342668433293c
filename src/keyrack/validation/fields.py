"""Checks names, emails and the like, wherever they come from: requests or an import (contract 7 to 13)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from keyrack.errors import Problem
from keyrack.validation.pointer import join

END = r"$(?!\n)"
"""The end of a text in a pattern: Python's `$` alone also matches before a final line feed."""

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Label = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Id = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{24}}{END}", description="24 hexadecimal digits in lower case")]
Revision = Annotated[
    str, Meta(pattern=rf"^[0-9a-f]{{40}}{END}", description="40 hexadecimal digits in lower case, or left out")
]
Domain = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{{1,5}})?{END}",
        description="a host name, with a port if it has one",
    ),
]
PlaceName = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=40,
        pattern=rf"^[A-Za-z0-9 _-]+{END}",
        description="3 to 40 letters, digits, spaces, - or _",
    ),
]
Email = Annotated[
    str,
    Meta(min_length=3, max_length=320, pattern=rf"^[^@:\s]+@[^@:\s]+{END}", description="an email without colon"),
]
Slug = Annotated[
    str,
    Meta(min_length=1, max_length=255, pattern=rf"^[A-Za-z0-9_-]+{END}", description="letters, digits, - or _"),
]
ComponentName = Slug
DisplayName = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"\S", description="1 to 80 characters, not only spaces")
]
AccentColor = Annotated[
    str, Meta(pattern=rf"^#[0-9A-Fa-f]{{6}}{END}", description="a colour as # and six hexadecimal digits")
]
ReturnOrigins = Annotated[
    list[Text], Meta(max_length=20, description="at most 20 web origins such as https://app.example")
]
Time = Annotated[datetime, Meta(tz=True, description="a time such as 2026-01-31T12:00:00Z")]
FlowType = Literal["ordinary", "long_running"]
Variable = Annotated[str, Meta(pattern=rf"^[A-Za-z][A-Za-z0-9_]*{END}", max_length=255)]


def wrong_variable(name: str, at: str) -> Problem | None:
    """Return what is wrong with the name of a component's environment variable, if anything (contract 13.4).

    Args:
        name: as given.
        at: the pointer of the object with the variables.
    """
    try:
        msgspec.convert(name, Variable)
    except msgspec.ValidationError:
        return Problem("a variable's name has letters, digits and _, and begins with a letter", at)
    if name.startswith("ELASTICIO_"):
        return Problem("names that begin with ELASTICIO_ are reserved", join(at, name))
    return None


class TenantOptions(Struct):
    """The types of those optional attributes of a tenant that Keyrack reads (contract section 7)."""

    default_workspace_type: Literal["full", "limited"] | UnsetType = UNSET
    feature_flags: dict[str, bool] | UnsetType = UNSET
    api_domain: Domain | UnsetType = UNSET
    webhooks_domain: Domain | UnsetType = UNSET
    git_receiver_host: Domain | UnsetType = UNSET
    api_docs_url: str | UnsetType = UNSET
    flow_stats_enabled_default: bool | UnsetType = UNSET
    support_user_id: str | UnsetType = UNSET
    email_domains_blacklist: list[str] | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
