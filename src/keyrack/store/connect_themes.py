"""How a tenant's connect pages look: one row a tenant at most (decision 36)."""

from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from keyrack.model.connect_theme import ConnectTheme, Logo, LogoFacts
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import connect_themes

_c = connect_themes.c
_FACTS = ("logo_digest", "logo_type", "logo_width", "logo_height", "logo_size")

_THEME = TenantQuery(connect_themes, select(*(column for column in _c if column is not _c.logo)))
_ORIGINS = TenantQuery(connect_themes, select(_c.return_origins))
_LOGO = TenantQuery(
    connect_themes,
    select(_c.logo, *(_c[name] for name in _FACTS)).where(_c.logo_digest == bindparam("digest")),
)
_CONTENT = TenantQuery(connect_themes, select(_c.logo))
_GONE = TenantChange(connect_themes, delete(connect_themes))


class ConnectThemeRows(TenantTable):
    """The theme of the unit's tenant."""

    table = connect_themes

    async def find(self) -> ConnectTheme | None:
        """Return what the tenant has said, without the logo's content; None if nothing."""
        row = await self.ask_one(_THEME)
        if row is None:
            return None
        return ConnectTheme(
            row.display_name, row.accent_color, row.shows_keyrack, tuple(row.return_origins), _facts(row)
        )

    async def return_origins(self) -> tuple[str, ...]:
        """Return the web origins beside our own that a consent may lead back to."""
        row = await self.ask_one(_ORIGINS)
        return () if row is None else tuple(row.return_origins)

    async def logo(self, digest: str) -> Logo | None:
        """Return the tenant's logo if it is the one that is asked for."""
        row = await self.ask_one(_LOGO, digest=digest)
        facts = None if row is None else _facts(row)
        return None if row is None or facts is None else Logo(facts, bytes(row.logo))

    async def put(self, theme: ConnectTheme, logo: Logo | None) -> None:
        """Store a theme in place of what there is, in a unit that holds the tenant alone.

        Args:
            theme: all of it; a logo that it names is `logo`, or the one that is stored.
            logo: a new one.
        """
        content = None if logo is None else logo.content
        if content is None and theme.logo is not None:
            content = (await self.ask(_CONTENT))[0].logo
        await self.make(_GONE)
        await self.insert({**columns(theme), "logo": content})


def columns(theme: ConnectTheme) -> dict[str, Any]:
    """Return what is stored of a theme beside the logo's content."""
    return {
        "display_name": theme.display_name,
        "accent_color": theme.accent_color,
        "shows_keyrack": theme.shows_keyrack,
        "return_origins": list(theme.return_origins),
        **logo_columns(theme.logo),
    }


def logo_columns(logo: LogoFacts | None) -> dict[str, Any]:
    """Return what is stored of a logo beside its content."""
    if logo is None:
        return dict.fromkeys(_FACTS)
    facts = (logo.digest, logo.media_type, logo.width, logo.height, logo.size)
    return dict(zip(_FACTS, facts, strict=True))


def _facts(row: "Row[Any]") -> LogoFacts | None:
    if row.logo_digest is None:
        return None
    return LogoFacts(row.logo_digest, row.logo_type, row.logo_width, row.logo_height, row.logo_size)
