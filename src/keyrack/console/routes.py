"""Lists the console's routes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import PathParameter

from keyrack.console.building_blocks import building_blocks
from keyrack.console.consents.connect import connect, connect_sent, connection_reconnected, credential_reconnected
from keyrack.console.consents.connect_links import connect_link_form, connect_link_list, connect_link_made
from keyrack.console.consents.waiting import consent_page
from keyrack.console.core.refusals import answer_refusal
from keyrack.console.core.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.core.static_files import static_files
from keyrack.console.core.visit import visit, visitor
from keyrack.console.credentials.credentials import (
    credential,
    credential_deleted,
    credential_deletion,
    credential_disclosed,
    credential_list,
    credential_renamed,
)
from keyrack.console.identity.account import account, other_sessions_ended, password_changed, session_ended
from keyrack.console.identity.sign_in import code_given, code_page, sign_in_page, signed_in, signed_out
from keyrack.console.identity.two_step import (
    recovery_codes_page,
    recovery_codes_renewed,
    two_step_begun,
    two_step_confirmed,
    two_step_disable_page,
    two_step_disabled,
    two_step_page,
)
from keyrack.console.overview import overview
from keyrack.console.secrets.connection import (
    connection,
    connection_deleted,
    connection_deletion,
    connection_disclosed,
    connection_page,
    connection_refreshed,
    connection_renamed,
    connection_tested,
)
from keyrack.console.secrets.connection_list import connection_list
from keyrack.console.tenancy.workspace_place import workspace_place
from keyrack.console.tenancy.workspaces import workspace_list
from keyrack.errors import KeyrackError, NotFound

_A_YEAR = "public, max-age=31536000, immutable"
"""For which a file is kept whose name changes with its content."""


@get("/files/{name:str}")
async def console_file(name: Annotated[str, PathParameter(description="A style sheet or script.")]) -> Response[bytes]:
    """Return a file that pages load, to anybody.

    Raises:
        NotFound: there is none of this name.
    """
    found = static_files().get(name)
    if found is None:
        raise NotFound
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": _A_YEAR})


CONSOLE = Router(
    PATH,
    route_handlers=[
        overview,
        sign_in_page,
        signed_in,
        code_page,
        code_given,
        signed_out,
        account,
        password_changed,
        session_ended,
        other_sessions_ended,
        two_step_page,
        two_step_begun,
        two_step_confirmed,
        recovery_codes_page,
        recovery_codes_renewed,
        two_step_disable_page,
        two_step_disabled,
        building_blocks,
        workspace_list,
        connection_list,
        connection,
        connection_tested,
        connection_refreshed,
        connection_renamed,
        connection_disclosed,
        connection_deletion,
        connection_deleted,
        connection_reconnected,
        credential_list,
        credential,
        credential_renamed,
        credential_disclosed,
        credential_deletion,
        credential_deleted,
        credential_reconnected,
        connect,
        connect_sent,
        consent_page,
        connect_link_list,
        connect_link_form,
        connect_link_made,
        console_file,
    ],
    dependencies={
        "visit": Provide(visit),
        "who": Provide(visitor, sync_to_thread=False),
        "place": Provide(workspace_place),
        "connection_page": Provide(connection_page),
    },
    exception_handlers={SignInNeeded: answer_sign_in_needed, KeyrackError: answer_refusal},
    include_in_schema=False,
)
"""What is at `/console`. A handler gets a use case only once it is known who is visiting, as one of the API does."""
