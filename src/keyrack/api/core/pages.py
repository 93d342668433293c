"""Renders the HTML pages that people see in a browser during a consent or set-up; errors too, the console's included.

Below the paths of `is_for_a_person` every answer is a page, also where nothing of ours has seen the request yet: what
happened, and what to do. They work without JavaScript, load nothing, and are stored nowhere.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.enums import MediaType
from markupsafe import Markup

from keyrack.service.consents.browser import LIFETIME, BrowserCookie
from keyrack.service.consents.links import IntroductionPage

PRIVATE = {"referrer-policy": "no-referrer", "cache-control": "no-store"}
"""Of everything here: addresses carry codes, states and links (contract 0.18)."""

_FORM_ACTION = "'self' https:"
"""Where a consent's form may lead, redirects included: to the provider, and wherever that has people sign in."""
_HERE = Path(__file__).parent
_PAGES = re.compile(r"/(callback|connect|consent|setup|console)(/|$)", re.IGNORECASE)
_SETUP = re.compile(r"/setup(/|$)", re.IGNORECASE)
_CONSOLE = re.compile(r"/console(/|$)", re.IGNORECASE)
_ASKING = frozenset({"device.js"})
"""Scripts that ask our own host whether there is something new."""
_templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)

_AGAIN = "Start connecting again. If it goes on like this, show this page to whoever gave you the link."


@dataclass(frozen=True, slots=True)
class Brand:
    """What stands around a page.

    Attributes:
        title: what the window is called after; empty for nothing.
        name: what stands above the page, if anything.
        logo: where a logo is, from the page's own address, if there is one.
        alternative: what is said in the logo's place.
        foot: whether it says below the page that it is ours.
        style: what is added to our style sheet.
    """

    title: str = "Keyrack"
    name: str | None = None
    logo: str | None = None
    alternative: str = ""
    foot: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class PageReport:
    """What a page tells the one that opened it in a popup.

    Attributes:
        origin: the only web origin that is told.
        facts: what it is told, as JSON.
        next: where the browser goes on that was opened by nobody.
    """

    origin: str
    facts: str
    next: str | None


_OURS = Brand()
"""Of pages that are no tenant's, and of tenants that have said nothing."""


def is_for_a_person(path: str) -> bool:
    """Tell whether whatever is answered at a path is a page."""
    return _PAGES.match(path) is not None


def page(
    template: str,
    status: int,
    title: str,
    *,
    mood: str = "plain",
    form_action: str = "'none'",
    script: str | None = None,
    headers: Mapping[str, str] | None = None,
    brand: Brand = _OURS,
    **values: Any,
) -> Response[str]:
    """Return a page.

    Args:
        template: name of its template.
        status: of the answer.
        title: what has happened, in a few words.
        mood: `good`, `bad` or `plain`.
        form_action: where its forms may lead, as in a content security policy.
        script: name of the one script that runs on it.
        headers: further headers.
        brand: what stands around it.
        values: for the template.
    """
    style, code = _style(brand.style), None if script is None else _static(script)
    scripts = "'none'" if code is None else _hash(code)
    text = _templates.get_template(template).render(
        title=title, mood=mood, style=style, script=code, brand=brand, **values
    )
    images = "" if brand.logo is None else " img-src 'self';"
    asked = " connect-src 'self';" if script in _ASKING else ""
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {scripts};{images}{asked}"
        f" base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )
    said = {**PRIVATE, "content-security-policy": policy, **(headers or {})}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=said)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a page says that something went wrong.

    Attributes:
        title: what has happened, in a few words.
        text: the same in a sentence or two.
        hint: what to do.
        reference: the request's id.
        said: `error`, `error_description` and `error_uri`, as far as the provider said something.
        trusted: whether that came with a state of ours; else anybody may have written it, and no link leads from it.
        return_url: where a way back leads.
        mood: as of `page`.
    """

    title: str
    text: str
    hint: str = ""
    reference: str | None = None
    said: Mapping[str, object] = field(default_factory=dict)
    trusted: bool = True
    return_url: str | None = None
    mood: str = "bad"


def problem_page(
    status: int,
    told: Explanation,
    headers: Mapping[str, str] | None = None,
    report: PageReport | None = None,
    brand: Brand = _OURS,
) -> Response[str]:
    """Return a page that says what went wrong, and what to do."""
    return page(
        "callback.html",
        status,
        told.title,
        mood=told.mood,
        script=None if report is None else "report.js",
        headers=headers,
        brand=brand,
        report=report,
        told=told,
    )


def consent_form(shown: IntroductionPage, brand: Brand = _OURS) -> Response[str]:
    """Return the page that says who asks for what, with the button that goes on to the provider."""
    insecure = "" if shown.cookie.secure else " http:"
    return page(
        "consent.html",
        200,
        "Connect an account?",
        form_action=_FORM_ACTION + insecure,
        headers=cookie_header(shown.cookie),
        brand=brand,
        told=shown.told,
        form_token=shown.form_token,
        until=f"{shown.expires_at:%d %B %Y, %H:%M} UTC",
    )


_REFUSALS: Mapping[int, Explanation] = {
    400: Explanation(
        "This address is damaged", "Something in the address cannot be read, so nothing was done.", _AGAIN
    ),
    404: Explanation("There is no such page", "The address leads nowhere here. Nothing was done.", _AGAIN),
    405: Explanation(
        "This page was called in another way than expected",
        "Providers have to send you back here with a plain redirect, whose answer is in the address. Nothing was done.",
        "Whoever set up the connection has to change how the provider answers (its response mode is to be “query”).",
    ),
    413: Explanation("That was too much", "More was sent to this page than it takes. Nothing was done.", _AGAIN),
    429: Explanation(
        "Too many requests", "There were too many requests just now.", "Wait a minute, then reload this page."
    ),
    503: Explanation(
        "Not available right now",
        "We cannot reach our database at the moment. What the provider has answered so far is safe.",
        "Wait a moment, then reload this page; nothing is done twice.",
    ),
}
_FAULT = Explanation(
    "Something went wrong on our side",
    "This is not your fault. What the provider has answered so far is safe.",
    "Reload this page in a moment; nothing is done twice. If it stays like this, pass on the reference below.",
)
_ASK = "Open the link again. If it goes on like this, show this page to whoever sent it to you."
_SETUP_REFUSALS: Mapping[int, Explanation] = {
    **_REFUSALS,
    400: Explanation("This address is damaged", "Something in the address cannot be read. Nothing was used up.", _ASK),
    404: Explanation("There is no such page", "The address leads nowhere here. Nothing was used up.", _ASK),
    405: Explanation("This page was called in another way than expected", "Nothing was used up.", _ASK),
    503: Explanation(
        "Not available right now",
        "We cannot use our database at the moment. Nothing was used up.",
        "Wait a moment, then open the link again.",
    ),
}
_CONSOLE_REFUSALS: Mapping[int, Explanation] = {
    400: Explanation("This address is damaged", "Something in the address cannot be read. Nothing was changed.", ""),
    403: Explanation(
        "Nothing was changed",
        "The form did not come from a page of the console in this browser, or the page is older than your sign-in.",
        "Open the console again, and repeat what you were doing.",
    ),
    404: Explanation("There is no such page", "The address leads nowhere here. Nothing was changed.", ""),
    405: Explanation("This page was called in another way than expected", "Nothing was changed.", ""),
    413: Explanation("That was too much", "More was sent to this page than it takes. Nothing was changed.", ""),
    429: _REFUSALS[429],
    503: Explanation(
        "Not available right now", "We cannot use our database at the moment.", "Wait a moment, then reload this page."
    ),
}
_CONSOLE_FAULT = Explanation(
    "Something went wrong on our side",
    "This is not your fault.",
    "Reload this page in a moment. If it stays like this, pass on the reference below.",
)
_SETUP_FAULT = Explanation(
    "Something went wrong on our side",
    "This is not your fault.",
    "Open the link again in a moment. If it stays like this, pass on the reference below.",
)


def refusal_page(path: str, status: int, reference: str | None, headers: Mapping[str, str]) -> Response[str]:
    """Return the page for a request that got nowhere.

    Args:
        path: what was asked for.
        status: of the answer.
        reference: the request's id.
        headers: what goes with the status, such as `Allow` and `Retry-After`.
    """
    kept = {name: value for name, value in headers.items() if name.lower() in {"allow", "retry-after"}}
    of_setup = _SETUP.match(path) is not None
    told = _SETUP_REFUSALS.get(status, _SETUP_FAULT) if of_setup else _REFUSALS.get(status, _FAULT)
    if _CONSOLE.match(path) is not None:
        told = _CONSOLE_REFUSALS.get(status, _CONSOLE_FAULT)
    return problem_page(status, replace(told, reference=reference), kept)


Handler = Callable[[Request[Any, Any, Any], Any], Response[Any]]


def for_people(handler: Handler, reference: Callable[[Any], str | None]) -> Handler:
    """Return an exception handler whose answer is a page where a person is asking."""

    def handle(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
        answer = handler(request, error)
        if not is_for_a_person(request.scope["path"]):
            return answer
        path = request.scope["path"]
        return refusal_page(path, answer.status_code or 500, reference(request.scope), dict(answer.headers))

    return handle


def cookie_header(cookie: BrowserCookie | None) -> dict[str, str]:
    """Return the header that sets a browser's cookie, if there is one to be set."""
    if cookie is None:
        return {}
    secure = "; Secure" if cookie.secure else ""
    text = f"{cookie.name}={cookie.value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}"
    return {"set-cookie": text}


def is_only_a_look(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser loads a page before anybody wants to see it: that must use nothing up (contract 0.21)."""
    purpose = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")).lower()
    return any(word in purpose for word in ("prefetch", "prerender", "preview"))


@cache
def _static(name: str) -> Markup:
    return Markup((_HERE / "static" / name).read_text("utf-8"))  # noqa: S704 - a file of ours


@lru_cache(maxsize=256)
def _style(more: str) -> Markup:
    """Return our style sheet, with what a tenant's theme adds."""
    return _static("pages.css") + Markup(more)  # noqa: S704 - made of numbers (`api/themes.py`)


@lru_cache(maxsize=256)
def _hash(content: str) -> str:
    """Return the source of a content security policy that allows just this content (CSP level 3, section 2.3.1)."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
