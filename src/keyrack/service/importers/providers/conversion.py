"""What a conversion of a catalogue brings: a profile for each entry, and what it could not express."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import problems

HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
"""What an input in a host may be where an entry does not say: the beginning of a host, or a whole one."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ConvertedEntry:
    """One entry of a catalogue.

    Attributes:
        name: as the catalogue has it.
        auth_mode: the kind of entry, in Nango's words: `OAUTH2`, `OAUTH2_CC` or `OAUTH1`.
        profile: what became of it.
        not_expressed: members of the entry that the profile does not say, by name, with dots between levels.
    """

    name: str
    auth_mode: str
    profile: ProviderProfile
    not_expressed: tuple[str, ...] = ()

    @property
    def lossless(self) -> bool:
        """Whether the profile says all that the entry does about getting and renewing tokens."""
        return not self.not_expressed

    @property
    def document(self) -> dict[str, Any]:
        """What is told of the entry in JSON."""
        return {
            "name": self.name,
            "auth_mode": self.auth_mode,
            "lossless": self.lossless,
            "not_expressed": list(self.not_expressed),
        }


@dataclass(slots=True)
class Members:
    """The members of an entry, each of which has to be taken by somebody; what is left was not expressed."""

    values: Mapping[str, Any]
    left: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = set(self.values)

    def take(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """Return a member of a type and count it as expressed; None if it is not there. One of another type stays."""
        value = self.values.get(name)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if value is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            return None
        self.left.discard(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a member that is a list of texts."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return ()
        self.left.discard(name)
        return tuple(value)

    def give_back(self, name: str) -> None:
        """Count a member as not expressed after all."""
        self.wrong.append(name)

    def not_expressed(self) -> tuple[str, ...]:
        """Return the names of what was not expressed, sorted."""
        return tuple(sorted(self.left | set(self.wrong)))


def profile_name(name: str) -> str:
    """Return a name as profiles may have it."""
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-_")[:100] or "unnamed"


def checked(name: str, mode: str, profile: ProviderProfile, members: Members) -> ConvertedEntry:
    """Return a converted entry; what is wrong with its profile counts as not expressed, by the profile's pointer."""
    faults = tuple(f"{each.pointer}: {each.detail}" for each in problems(profile))
    return ConvertedEntry(name, mode, profile, members.not_expressed() + faults)
