"""`/docs`: the API's description as a page one can try calls from (issue 2.9), without authentication.

Swagger UI comes with Keyrack (decision 0009) and is served from here alone, so the page works without a network, and
its content policy lets a script of this origin run and speak to this origin, and nothing else. Its addresses are
relative, so that it works under a path that a proxy has put in front of ours (contract section 1).
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.enums import MediaType
from litestar.params import PathParameter
from swagger_ui_bundle import swagger_ui_path

from keyrack.errors import NotFound

_OURS = Path(__file__).parent / "static"
_SCRIPT, _STYLE, _ICON = "text/javascript", "text/css", "image/png"
_FILES = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": _STYLE,
    "favicon-32x32.png": _ICON,
    "docs.js": _SCRIPT,
    "docs.css": _STYLE,
}
_POLICY = (  # Swagger UI's arrows are data: images of its style sheet
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}


@get("/docs", media_type=MediaType.HTML, include_in_schema=False)
async def docs_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the page; at `/docs/` what lies beside it is one level up."""
    asked = request.scope["raw_path"]  # the router has taken a slash at the end off the other one
    root = "../" if asked.endswith(b"/") else ""
    page = (_OURS / "docs.html").read_text("utf-8").replace("{root}", root)
    return Response(page, media_type=MediaType.HTML, headers=_HEADERS)


@get("/docs/{name:str}", include_in_schema=False)
async def docs_file(name: Annotated[str, PathParameter(description="One of the page's files.")]) -> Response[bytes]:
    """Return one of the page's own files.

    Raises:
        NotFound: it is none of them.
    """
    media_type = _FILES.get(name)
    if media_type is None:
        raise NotFound
    headers = {**_HEADERS, "cache-control": "public, max-age=3600"}
    return Response(_content(name), media_type=media_type, headers=headers)


@cache
def _content(name: str) -> bytes:
    """Return a file's content; only names in `_FILES` come here."""
    ours = _OURS / name
    return ours.read_bytes() if ours.exists() else (swagger_ui_path / name).read_bytes()
