"""Puts a tenant's name, logo and colour around the pages that people connect accounts on (decision 36)."""

from functools import lru_cache
from typing import Any

from litestar import Request

from keyrack.api.core.pages import Brand
from keyrack.service.consents.connect_themes import LOGO_PATH, PageTheme
from keyrack.service.consents.theme_colors import accent_colors


def brand_of(theme: PageTheme | None, request: Request[Any, Any, Any]) -> Brand:
    """Return what stands around a page.

    Args:
        theme: of the tenant that the page is about; None: ours.
        request: for the page.
    """
    return Brand() if theme is None else brand_at(theme, request.scope["path"])


def brand_at(theme: PageTheme, path: str) -> Brand:
    """As `brand_of`, for a page at a path.

    The logo's address begins at the page's own: so it is right behind a proxy that takes a part of the path away.
    """
    up = "../" * max(0, path.rstrip("/").count("/") - 1)
    ours = "Keyrack" if theme.shows_keyrack else theme.tenant
    return Brand(
        title=theme.name or ours,
        name=theme.name,
        logo=None if theme.logo is None else f"{up}{LOGO_PATH.lstrip('/')}/{theme.logo}",
        alternative=theme.name or theme.tenant,
        foot=theme.shows_keyrack and theme.name is not None,
        style="" if theme.accent_color is None else _style(theme.accent_color),
    )


@lru_cache(maxsize=256)
def _style(accent: str) -> str:
    made = accent_colors(accent)
    fill = f"--fill: {made.fill}; --on-fill: {made.on_fill};"
    return (
        f":root {{ --link: {made.light}; --plain: {made.light}; {fill} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --link: {made.dark}; --plain: {made.dark}; {fill} }} }}\n"
    )
