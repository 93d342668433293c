"""Says where entries of another system go: a tenant, and for each grant a workspace and a user, by a mapping file.

The mapping file is TOML (docs/migrating.md). What it says of a connection counts before what it says of its end user,
organization or project, and all that before what the command line says.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from keyrack.errors import ConfigurationError

_ORDER = {"connection": "connections", "end_user": "end_users", "organization": "organizations", "project": "projects"}
"""By label of a grant, the table of the mapping file that tells of it; the first that says something counts."""


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where grants go; what is not said is said elsewhere."""

    workspace: str | None = None
    user: str | None = None
    skip: bool = False


class ClientMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a client."""

    auth_client: str | None = None
    skip: bool = False
    inputs: dict[str, str] = {}
    components: list[str] = []


class MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mapping file may say."""

    providers: dict[str, str] = {}
    clients: dict[str, ClientMapping] = {}
    connections: dict[str, Destination] = {}
    end_users: dict[str, Destination] = {}
    organizations: dict[str, Destination] = {}
    projects: dict[str, Destination] = {}


@dataclass(frozen=True, slots=True)
class Target:
    """Where an import goes.

    Attributes:
        tenant_id: the one tenant that gets everything.
        usual: where grants go of which the mapping says nothing else.
        components: what auth clients are linked to of which the mapping says nothing else.
        mapping: what a file says.
    """

    tenant_id: str
    usual: Destination
    mapping: MappingFile = field(default_factory=MappingFile)
    components: tuple[str, ...] = ()

    def of_grant(self, labels: Mapping[str, str]) -> Destination:
        """Return where a grant goes; workspace and user are None where nobody says."""
        workspace = user = None
        for label, table in _ORDER.items():
            named: Mapping[str, Destination] = getattr(self.mapping, table)
            said = named.get(labels.get(label, ""))
            if said is not None:
                if said.skip:
                    return Destination(skip=True)
                workspace, user = workspace or said.workspace, user or said.user
        return Destination(workspace or self.usual.workspace, user or self.usual.user)

    def of_client(self, external_id: str) -> ClientMapping:
        """Return what is said of a client."""
        return self.mapping.clients.get(external_id, ClientMapping())


def read_mapping(path: Path) -> MappingFile:
    """Read a mapping file.

    Raises:
        ConfigurationError: it is none; the text says what is wrong where.
    """
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(found, MappingFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigurationError(f"{path} is no TOML") from None
    except msgspec.ValidationError as wrong:
        raise ConfigurationError(f"{path}: {wrong}") from None
