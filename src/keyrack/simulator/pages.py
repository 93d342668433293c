"""HTML: rendered with escaping, no script, no external asset, under a strict content security policy."""

import base64
import hashlib
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_pages = Environment(
    loader=PackageLoader("keyrack.simulator"), autoescape=True, undefined=StrictUndefined, auto_reload=False
)
_STYLE = _pages.get_template("style.css").render()
_pages.globals["style"] = Markup(_STYLE)  # noqa: S704 - our own style sheet, no input in it
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page(template: str, *, status: int = 200, form_action: str = "'self'", **values: object) -> web.Response:
    """Render a page.

    Args:
        template: file name without `.html`.
        status: HTTP status.
        form_action: where forms may lead, as a CSP source list; browsers apply it to redirects too.
        values: what the template shows.
    """
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    text = _pages.get_template(f"{template}.html").render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def error_page(detail: str, status: int = 400) -> web.Response:
    """Render a page that says what is wrong with a request that cannot be answered by a redirect."""
    return page("error", status=status, detail=detail)


def onward(redirect_uri: str) -> str:
    """Return the `form-action` sources for a form whose answer redirects to a client.

    The client may send the browser on to any other site, and browsers hold every redirect of the chain to
    this list; so it names schemes, not hosts. Scripts stay impossible.
    """
    scheme = urlsplit(redirect_uri).scheme
    own = "" if scheme in {"http", "https"} else f" {scheme}:"
    return f"'self' http: https:{own}"
