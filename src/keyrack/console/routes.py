"""Lists the console's routes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.params import PathParameter

from keyrack.console.account import account, other_sessions_ended, password_changed, session_ended
from keyrack.console.building_blocks import building_blocks
from keyrack.console.overview import overview
from keyrack.console.rendering import style, style_name
from keyrack.console.requests import PATH, SignInNeeded, answer_sign_in_needed
from keyrack.console.sign_in import sign_in_page, signed_in, signed_out
from keyrack.errors import NotFound

_A_YEAR = "public, max-age=31536000, immutable"
"""For which a file is kept whose name changes with its content."""


@get("/files/{name:str}")
async def console_file(name: Annotated[str, PathParameter(description="The style sheet.")]) -> Response[bytes]:
    """Return the style sheet, to anybody.

    Raises:
        NotFound: it has another name.
    """
    if name != style_name():
        raise NotFound
    return Response(style(), media_type="text/css", headers={"cache-control": _A_YEAR})


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
        building_blocks,
        console_file,
    ],
    exception_handlers={SignInNeeded: answer_sign_in_needed},
    include_in_schema=False,
)
"""What is at `/console`; each handler asks for the `Console`."""
