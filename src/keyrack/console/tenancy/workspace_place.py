"""What all pages below a workspace need: its name, what the visitor may do there, and the tabs."""

from collections.abc import Sequence
from dataclasses import dataclass

from litestar.di import NamedDependency

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.requests import PATH
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden
from keyrack.service.authz.own_permissions import OwnAccess, OwnPermissions
from keyrack.service.authz.permissions import GET_SECRET
from keyrack.service.consents.connect_form import CONNECT
from keyrack.service.tenancy.workspaces import Workspaces

WORKSPACES = f"{PATH}/workspaces"

SECRET_EDIT, SECRET_DELETE = "workspaces.auth_secret.edit", "workspaces.auth_secret.delete"
SECRET_REFRESH = "workspaces.auth_secret.refresh"  # noqa: S105 - a permission
CREDENTIAL_EDIT = "workspaces.credential.edit"


@dataclass(frozen=True, slots=True)
class WorkspacePlace:
    """A workspace as a visitor meets it.

    Attributes:
        id: its id.
        name: its name.
        contract_id: the contract that it is in.
        own: what the visitor may do there.
    """

    id: str
    name: str
    contract_id: str
    own: OwnAccess

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"{WORKSPACES}/{self.id}"

    def consent_path(self, consent_id: str) -> str:
        """Return the path of the page that tells how far a consent is."""
        return f"{self.path}/consents/{consent_id}"

    def require(self, *permissions: str) -> None:
        """Refuse a page that leads to an action which the visitor may not do.

        Raises:
            Forbidden: they hold none of the permissions in the workspace.
        """
        if not self.own.allows(*permissions):
            raise Forbidden(f"this needs the permission {' or '.join(permissions)}")

    @property
    def may_connect(self) -> bool:
        """Whether the visitor may connect something there."""
        return self.own.is_member and self.own.allows(*CONNECT)

    def tabs(self, here: str) -> Sequence[tuple[str, str, bool]]:
        """Return the pages of the workspace that the visitor may see: path, text, and whether it is this one."""
        pages = [
            ("", "Connections", self.own.allows(GET_SECRET)),
            ("/credentials", "Credentials", self.own.is_member),
            ("/connect-links", "Connect links", self.may_connect),
            ("/members", "Members", self.own.is_member),
        ]
        return [(self.path + path, text, path == here) for path, text, seen in pages if seen or path == here]


async def workspace_place(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    own_permissions: NamedDependency[OwnPermissions],
) -> WorkspacePlace:
    """Hand the workspace of the address to a handler that asks for `place`.

    Raises:
        NotFound: there is none for the visitor.
        Forbidden: they may not see it.
    """
    found = (await workspaces.get(visit.who, workspace_id, most_members=0)).workspace
    own = await own_permissions.in_workspace(visit.who, workspace_id)
    return WorkspacePlace(found.id, found.name, found.contract_id, own)
