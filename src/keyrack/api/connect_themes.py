"""`/v2/tenants/{T}/connect-theme`, and the logos of connect pages (extension, decision 36)."""

import binascii
from base64 import b64decode
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import require_id
from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import SelfLink, Single, link_self
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.connect_theme import LogoFacts
from keyrack.service.consents.connect_theme_rules import LARGEST_LOGO
from keyrack.service.consents.connect_themes import (
    LOGO_PATH,
    ConnectThemes,
    ShownTheme,
    ThemeChanges,
)
from keyrack.validation.fields import AccentColor, DisplayName, ReturnOrigins

_LOGO_POINTER = "/data/attributes/logo_data"
_LONGEST = 4 * (LARGEST_LOGO // 3 + 2)

LogoData = Annotated[
    str,
    Meta(
        max_length=_LONGEST, description="a PNG, JPEG or WebP image of at most 128 KiB, in base64 (RFC 4648, section 4)"
    ),
]


class ShownLogo(msgspec.Struct):
    """A logo, and where it is served to anybody."""

    url: str
    media_type: str
    width: int
    height: int
    size: int


class ConnectThemeAttributes(msgspec.Struct):
    """Name, colour and logo of the pages, and where they may lead back to."""

    display_name: str | None
    accent_color: str | None
    show_keyrack: bool
    return_origins: list[str]
    logo: ShownLogo | None


class ConnectThemeResource(msgspec.Struct):
    """How a tenant's connect pages look; its id is the tenant's."""

    id: str
    links: SelfLink
    attributes: ConnectThemeAttributes
    type: Literal["connect-theme"] = "connect-theme"


class ConnectThemeChanges(msgspec.Struct):
    """What is to be different; `null` unsets."""

    display_name: DisplayName | UnsetType | None = UNSET
    accent_color: AccentColor | UnsetType | None = UNSET
    show_keyrack: bool | UnsetType = UNSET
    return_origins: ReturnOrigins | UnsetType = UNSET
    logo_data: LogoData | UnsetType | None = UNSET


class ChangeConnectTheme(msgspec.Struct):
    """Data of a change; what is left out stays."""

    attributes: ConnectThemeChanges | UnsetType = UNSET
    type: Literal["connect-theme"] | UnsetType = UNSET
    id: str | UnsetType = UNSET


class ChangeConnectThemeBody(msgspec.Struct):
    """Body of a change."""

    data: ChangeConnectTheme


class ConnectThemeController(Controller):
    """How a tenant's connect pages look."""

    path = "/v2/tenants/{tenant_id:str}/connect-theme"
    tags = ("Tenants",)

    @get(responses=Refusals.of(403, 404))
    async def retrieve(
        self, tenant_id: PATH_ID, who: Who, connect_themes: NamedDependency[ConnectThemes]
    ) -> Single[ConnectThemeResource]:
        """Return how a tenant's connect pages look, and where they may lead back to (extension)."""
        return Single(_resource(await connect_themes.get(who, tenant_id)))

    @patch(responses=Refusals.of(400, 403, 404, body=True))
    async def change(
        self,
        tenant_id: PATH_ID,
        data: Body[ChangeConnectThemeBody],
        who: Who,
        connect_themes: NamedDependency[ConnectThemes],
    ) -> Single[ConnectThemeResource]:
        """Change how a tenant's connect pages look; what is left out stays, `null` unsets (extension)."""
        wanted = data.then(lambda body: _changes(body, tenant_id))
        return Single(_resource(await connect_themes.change(who, tenant_id, wanted)))


@get(f"{LOGO_PATH}/{{name:str}}", include_in_schema=False)
async def connect_logo(name: FromPath[str], connect_themes: NamedDependency[ConnectThemes]) -> Response[bytes]:
    """Return a logo; its name changes with its content, so it can be kept for ever."""
    logo = await connect_themes.logo(name)
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        "cross-origin-resource-policy": "same-origin",
    }
    return Response(logo.content, media_type=logo.facts.media_type, headers=headers)


def _changes(body: ChangeConnectThemeBody, tenant_id: str) -> ThemeChanges:
    require_id(body.data.id, tenant_id)
    given = body.data.attributes
    if given is UNSET:
        return ThemeChanges()
    return ThemeChanges(
        display_name=given.display_name,
        accent_color=given.accent_color,
        shows_keyrack=given.show_keyrack,
        return_origins=given.return_origins,
        logo=_decoded(given.logo_data) if isinstance(given.logo_data, str) else given.logo_data,
    )


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValidationFailed(Problem("must be an image in base64", _LOGO_POINTER)) from None


def _resource(shown: ShownTheme) -> ConnectThemeResource:
    theme = shown.theme
    attributes = ConnectThemeAttributes(
        theme.display_name,
        theme.accent_color,
        theme.shows_keyrack,
        list(theme.return_origins),
        _logo(theme.logo, shown.logo_url),
    )
    return ConnectThemeResource(shown.tenant_id, link_self(f"/v2/tenants/{shown.tenant_id}/connect-theme"), attributes)


def _logo(logo: LogoFacts | None, url: str | None) -> ShownLogo | None:
    if logo is None or url is None:
        return None
    return ShownLogo(url, logo.media_type, logo.width, logo.height, logo.size)
