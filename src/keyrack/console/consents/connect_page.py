"""`/console/settings/connect-page`: how the pages look on which people connect accounts (decision 36)."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from msgspec import UNSET, ValidationError, convert

from keyrack.api.core.pages import page
from keyrack.api.themes import brand_at
from keyrack.console.core.forms import Form, problems_by_field
from keyrack.console.core.visit import Visit
from keyrack.errors import KeyrackError, Problem, ValidationFailed
from keyrack.model.consents import ConsentIntroduction
from keyrack.service.authz.access import home
from keyrack.service.consents.connect_themes import ConnectThemes, PageTheme, ShownTheme, ThemeChanges
from keyrack.service.consents.theme_colors import DARK_GROUNDS, LIGHT_GROUNDS, AccentColors, accent_colors
from keyrack.validation.fields import AccentColor, DisplayName, ReturnOrigins
from keyrack.validation.unvalidated import Unvalidated

_PATH = "/console/settings/connect-page"
_OURS = AccentColors(fill="#2457c5", on_fill="#ffffff", light="#2457c5", dark="#7fa6ff")
"""Of pages whose tenant has chosen no colour; on dark grounds the button has the colour of links."""

_AT = "/data/attributes"
_FIELDS = {
    f"{_AT}/display_name": "display_name",
    f"{_AT}/accent_color": "accent_color",
    f"{_AT}/return_origins": "return_origins",
    f"{_AT}/logo_data": "logo",
}
_DONE = {"saved": "The pages look like this from now on."}


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form.

    Attributes:
        display_name: as it was typed, or is stored.
        accent_color: the same.
        return_origins: one in each line.
        shows_keyrack: whether the box is ticked.
    """

    display_name: str
    accent_color: str
    return_origins: str
    shows_keyrack: bool


@get("/settings/connect-page", media_type=MediaType.HTML)
async def connect_page_settings(
    visit: NamedDependency[Visit], connect_themes: NamedDependency[ConnectThemes]
) -> Response[str]:
    """Show how the pages look."""
    shown = await connect_themes.get(visit.who, home(visit.who))
    return await _page(visit, connect_themes, shown, done=visit.done(_DONE))


@post("/settings/connect-page", media_type=MediaType.HTML)
async def connect_page_changed(
    visit: NamedDependency[Visit], connect_themes: NamedDependency[ConnectThemes]
) -> Response[str]:
    """Change how the pages look."""
    form, logo = await visit.console.form_with_file(visit.request, "logo")
    tenant_id = home(visit.who)
    try:
        await connect_themes.change(visit.who, tenant_id, Unvalidated(lambda: _changes(form, logo)))
    except ValidationFailed as error:
        shown = await connect_themes.get(visit.who, tenant_id)
        return await _page(visit, connect_themes, shown, typed=_typed(form), error=error)
    return visit.go(_PATH, done="saved")


@get("/settings/connect-page/preview", media_type=MediaType.HTML)
async def connect_page_preview(
    visit: NamedDependency[Visit], connect_themes: NamedDependency[ConnectThemes]
) -> Response[str]:
    """Show the page as people see it, of a connection that nobody asks for; its button does nothing."""
    shown = await connect_themes.get(visit.who, home(visit.who))
    theme = await connect_themes.look_of(shown.tenant_id) or PageTheme(None, "", True, None, None)
    told = ConsentIntroduction(
        starter=visit.who.name,
        tenant=theme.tenant or "Your tenant",
        workspace="A workspace of yours",
        what="A component of yours",
        host="login.provider.example",
        scopes=("openid", "files.read"),
    )
    return page(
        "consent.html",
        200,
        "Connect an account?",
        brand=brand_at(theme, f"{_PATH}/preview"),
        told=told,
        form_token="",
        until="the time that the link's maker chooses",
    )


async def _page(
    visit: Visit,
    themes: ConnectThemes,
    shown: ShownTheme,
    *,
    done: str = "",
    typed: Typed | None = None,
    error: KeyrackError | None = None,
) -> Response[str]:
    theme = shown.theme
    wrong, others = problems_by_field(error, _FIELDS)
    look = await themes.look_of(shown.tenant_id)
    accent = theme.accent_color
    return visit.page(
        "consents/connect_page.html",
        status=200 if error is None else 400,
        theme=theme,
        logo=None if theme.logo is None else f"{visit.console.root}/connect/logo/{theme.logo.digest}",
        name=theme.display_name or (look.tenant if look and not theme.shows_keyrack else ""),
        colors=_OURS if accent is None else accent_colors(accent),
        grounds=(LIGHT_GROUNDS, DARK_GROUNDS),
        typed=typed
        or Typed(
            theme.display_name or "", theme.accent_color or "", "\n".join(theme.return_origins), theme.shows_keyrack
        ),
        may_edit=visit.allows("tenants.tenant.edit"),
        done=done,
        wrong=wrong,
        others=others,
    )


def _typed(form: Form) -> Typed:
    return Typed(
        form.text("display_name"), form.text("accent_color"), form.get("return_origins", ""), "shows_keyrack" in form
    )


def _changes(form: Form, logo: bytes) -> ThemeChanges:
    """Return what the form asks for.

    Raises:
        ValidationFailed: a field is wrong.
    """
    typed = _typed(form)
    given: Mapping[str, tuple[object, object]] = {
        "display_name": (typed.display_name or None, DisplayName | None),
        "accent_color": (typed.accent_color or None, AccentColor | None),
        "return_origins": (typed.return_origins.split(), ReturnOrigins),
    }
    problems = []
    for name, (value, kind) in given.items():
        try:
            convert(value, kind)
        except ValidationError:
            problems.append(Problem(_WANTED[name], f"{_AT}/{name}"))
    if problems:
        raise ValidationFailed(*problems)
    return ThemeChanges(
        display_name=typed.display_name or None,
        accent_color=typed.accent_color or None,
        shows_keyrack=typed.shows_keyrack,
        return_origins=typed.return_origins.split(),
        logo=logo or (None if "no_logo" in form else UNSET),
    )


_WANTED = {
    "display_name": "must have at most 80 characters",
    "accent_color": "must be # and six digits or letters from a to f, such as #0a7d4f",
    "return_origins": "at most 20",
}
