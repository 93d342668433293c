"""Lists the console's routes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import PathParameter

from keyrack.console.building_blocks import building_blocks
from keyrack.console.consents.connect_page import connect_page_changed, connect_page_preview, connect_page_settings
from keyrack.console.core.refusals import answer_refusal
from keyrack.console.core.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.core.static_files import static_files
from keyrack.console.core.visit import visit, visitor
from keyrack.console.identity.account import account, other_sessions_ended, password_changed, session_ended
from keyrack.console.identity.sign_in import sign_in_page, signed_in, signed_out
from keyrack.console.overview import overview
from keyrack.console.search.search import search
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
        signed_out,
        account,
        password_changed,
        session_ended,
        other_sessions_ended,
        search,
        connect_page_settings,
        connect_page_changed,
        connect_page_preview,
        building_blocks,
        console_file,
    ],
    dependencies={"visit": Provide(visit), "who": Provide(visitor, sync_to_thread=False)},
    exception_handlers={SignInNeeded: answer_sign_in_needed, KeyrackError: answer_refusal},
    include_in_schema=False,
)
"""What is at `/console`. A handler gets a use case only once it is known who is visiting, as one of the API does."""
