"""What another system's file has, in one form for all systems; and what became of each entry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from keyrack.model import Json
from keyrack.service.importers.other_systems.json_objects import Found


class EntryKind(StrEnum):
    """What an entry is made into."""

    client = "auth-client"
    grant = "auth-secret"


class Outcome(StrEnum):
    """What became of an entry."""

    made = "made"
    renewed = "renewed"
    """It was brought before, and the file has something newer."""
    unchanged = "unchanged"
    left_out = "left_out"


@dataclass(frozen=True, slots=True)
class FoundClient:
    """An OAuth client of the other system.

    Attributes:
        external_id: what the other system calls it.
        name: what it is called here.
        credentials: as an auth client takes them (contract section 14).
        told_at: when the other system changed it last.
    """

    external_id: str
    name: str
    credentials: Json = field(repr=False)
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundGrant:
    """A grant of the other system.

    Attributes:
        external_id: what the other system calls it.
        client_id: the external id of its client.
        name: what it is called here.
        credentials: tokens and scope, as a secret takes them (contract 15.1).
        settings: what was filled in for the connection, by the other system's names.
        answer: what else came with the tokens.
        labels: what a mapping file can tell it by: kind and value.
        issued_at, expires_at: of the access token, as far as that is known.
        connected_at: when a person agreed.
        told_at: when the other system changed it last.
    """

    external_id: str
    client_id: str
    name: str
    credentials: Json = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer: Json = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    connected_at: datetime | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that cannot be brought, and why, without anything of its values."""

    kind: EntryKind
    external_id: str
    why: str


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of an entry.

    Attributes:
        resource_id: of the auth client or auth secret; None if there is none, or would be made.
        why: why it was left out, or what else is to be known.
    """

    kind: EntryKind
    external_id: str
    outcome: Outcome
    resource_id: str | None = None
    why: str = ""


class UnreadableError(Exception):
    """A value cannot be decrypted; the text says why."""


class OtherSystem(Protocol):
    """Reads the objects of one system's file."""

    @property
    def source(self) -> str:
        """The name under which its imports are known."""

    def clients(self, found: Found) -> Iterator[FoundClient | LeftOut]:
        """Yield the clients that an object of the file holds."""

    def grants(self, found: Found) -> Iterator[FoundGrant | LeftOut]:
        """Yield the grants that an object of the file holds."""
