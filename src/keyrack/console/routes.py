"""Lists the console's routes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import PathParameter

from keyrack.console.building_blocks import building_blocks
from keyrack.console.clients.auth_clients import (
    auth_client_changed,
    auth_client_created,
    auth_client_deleted,
    auth_client_edit,
    auth_client_form,
    auth_client_list,
    auth_client_page,
    auth_client_retried,
    auth_client_secret,
    auth_client_secret_changed,
    auth_client_to_delete,
)
from keyrack.console.clients.components import component_list, component_page
from keyrack.console.clients.oauth_clients import (
    oauth_client_changed,
    oauth_client_created,
    oauth_client_deleted,
    oauth_client_edit,
    oauth_client_form,
    oauth_client_list,
    oauth_client_page,
    oauth_client_secret,
    oauth_client_secret_changed,
    oauth_client_to_delete,
)
from keyrack.console.core.refusals import answer_refusal
from keyrack.console.core.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.core.static_files import static_files
from keyrack.console.core.visit import visit, visitor
from keyrack.console.identity.account import account, other_sessions_ended, password_changed, session_ended
from keyrack.console.identity.organisation_sign_in import (
    organisation_found,
    organisation_page,
    tenant_sign_in_begun,
    tenant_sign_in_finished,
    tenant_sign_in_page,
)
from keyrack.console.identity.sign_in import code_given, code_page, sign_in_page, signed_in, signed_out
from keyrack.console.identity.single_sign_on import (
    single_sign_on_deleted,
    single_sign_on_page,
    single_sign_on_saved,
    single_sign_on_test_result,
    single_sign_on_tested,
    single_sign_on_to_delete,
    single_sign_on_to_unlink,
    single_sign_on_unlinked,
)
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
        organisation_page,
        organisation_found,
        tenant_sign_in_page,
        tenant_sign_in_begun,
        tenant_sign_in_finished,
        single_sign_on_page,
        single_sign_on_saved,
        single_sign_on_to_delete,
        single_sign_on_deleted,
        single_sign_on_tested,
        single_sign_on_test_result,
        single_sign_on_to_unlink,
        single_sign_on_unlinked,
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
        component_list,
        component_page,
        oauth_client_changed,
        oauth_client_created,
        oauth_client_deleted,
        oauth_client_edit,
        oauth_client_form,
        oauth_client_list,
        oauth_client_page,
        oauth_client_secret,
        oauth_client_secret_changed,
        oauth_client_to_delete,
        auth_client_changed,
        auth_client_created,
        auth_client_deleted,
        auth_client_edit,
        auth_client_form,
        auth_client_list,
        auth_client_page,
        auth_client_retried,
        auth_client_secret,
        auth_client_secret_changed,
        auth_client_to_delete,
        console_file,
    ],
    dependencies={"visit": Provide(visit), "who": Provide(visitor, sync_to_thread=False)},
    exception_handlers={SignInNeeded: answer_sign_in_needed, KeyrackError: answer_refusal},
    include_in_schema=False,
)
"""What is at `/console`. A handler gets a use case only once it is known who is visiting, as one of the API does."""
