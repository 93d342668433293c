"""Keeps how a tenant's connect pages look, and where they may lead back to (decision 36)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import UNSET, UnsetType

from keyrack.crypto.secret import Secret
from keyrack.errors import NotFound
from keyrack.model.connect_theme import ConnectTheme, Logo
from keyrack.model.identity import Principal
from keyrack.oauth import oauth1
from keyrack.oauth.provider_text import printable
from keyrack.oauth.state import states_of
from keyrack.service.authz.access import Access
from keyrack.service.consents.connect_links import connect_link_hash
from keyrack.service.consents.connect_theme_rules import checked_logo, checked_origins
from keyrack.service.consents.links import link_hash
from keyrack.service.tenancy import setup_links
from keyrack.service.tenancy.redirect_uris import OAUTH2
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.connect_themes import ConnectThemeRows
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory, Location
from keyrack.store.tenants import TenantRows
from keyrack.validation.unvalidated import Unvalidated

LOGO_PATH = "/connect/logo"
"""Where logos are served; one's digest follows."""

_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class ThemeChanges:
    """What a caller wants to be different about a theme; None unsets what may be unset.

    Attributes:
        display_name: what stands above the pages.
        accent_color: of buttons and links, as `#rrggbb`.
        shows_keyrack: whether our name is on the pages.
        return_origins: web origins that `return_url` may lead to.
        logo: a PNG, JPEG or WebP.
    """

    display_name: str | UnsetType | None = UNSET
    accent_color: str | UnsetType | None = UNSET
    shows_keyrack: bool | UnsetType = UNSET
    return_origins: Sequence[str] | UnsetType = UNSET
    logo: bytes | UnsetType | None = field(default=UNSET, repr=False)


@dataclass(frozen=True, slots=True)
class ShownTheme:
    """A theme with the addresses that browsers open.

    Attributes:
        tenant_id: whose it is.
        theme: what the tenant has said.
        logo_url: where the logo is served, if there is one.
    """

    tenant_id: str
    theme: ConnectTheme
    logo_url: str | None


@dataclass(frozen=True, slots=True)
class PageTheme:
    """How a page looks that a person opens.

    Attributes:
        name: what stands above it, if anything.
        tenant: the tenant's own name, where there is nothing else to call it by.
        shows_keyrack: whether our name is on it.
        accent_color: as `#rrggbb`, if it is not ours.
        logo: the digest of the logo, if there is one.
    """

    name: str | None
    tenant: str
    shows_keyrack: bool
    accent_color: str | None
    logo: str | None


class ConnectThemes:
    """For those who administer a tenant, and for the pages themselves.

    Args:
        store: where themes are.
        access: the way into every operation.
        public_url: the base of addresses that browsers open; None: each tenant's own (contract 0.7).
    """

    def __init__(self, store: Store, access: Access, *, public_url: str | None) -> None:
        self._store = store
        self._access = access
        self._public_url = public_url

    async def get(self, who: Principal, tenant_id: str) -> ShownTheme:
        """Return a tenant's theme."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.tenant.get")
            theme = await ConnectThemeRows(scope.unit).find() or ConnectTheme()
            return self._shown(tenant_id, theme, await base_address(scope.unit, self._public_url))

    async def change(self, who: Principal, tenant_id: str, wanted: Unvalidated[ThemeChanges]) -> ShownTheme:
        """Change a tenant's theme; what is left out stays.

        Raises:
            ValidationFailed: the logo is no image that is served, or too large; an origin is none.
        """
        async with self._access.tenant(who, tenant_id, "connect-theme.change", exclusive=True) as scope:
            scope.require("tenants.tenant.edit")
            changes, rows = wanted.validated(), ConnectThemeRows(scope.unit)
            logo = checked_logo(changes.logo, tenant_id) if isinstance(changes.logo, bytes) else None
            theme = changed(await rows.find() or ConnectTheme(), changes, logo)
            await rows.put(theme, logo)
            scope.audit_target("tenant", tenant_id)
            return self._shown(tenant_id, theme, await base_address(scope.unit, self._public_url))

    async def logo(self, digest: str) -> Logo:
        """Return a logo for whoever has its address.

        Raises:
            NotFound: there is none.
        """
        logo = None
        async with self._store.installation() as unit:
            place = await Directory(unit).connect_logo(digest)
        if place is not None:
            async with self._store.unit(place.tenant_id) as unit:
                logo = await ConnectThemeRows(unit).logo(digest)
        if logo is None:
            raise NotFound
        return logo

    async def look_of(self, tenant_id: str) -> PageTheme | None:
        """Return how pages of a tenant look; None: as we made them."""
        async with self._store.unit(tenant_id) as unit:
            theme = await ConnectThemeRows(unit).find()
            if theme is None:
                return None
            tenant = await TenantRows(unit).find(tenant_id)
        return page_theme(theme, tenant.name if tenant else "")

    async def of_connect_link(self, token: str) -> PageTheme | None:
        """Return how the page of a connect link looks, whether it is still good or not."""
        return await self._at(lambda directory: directory.connect_link(connect_link_hash(token)))

    async def of_consent_link(self, token: str) -> PageTheme | None:
        """Return how the page looks that a bound consent begins at."""
        return await self._at(lambda directory: directory.consent_by_link(link_hash(token)))

    async def of_setup_link(self, token: Secret) -> PageTheme | None:
        """Return how the page of a setup link looks."""
        return await self._at(lambda directory: directory.setup_link(setup_links.link_hash(token)))

    async def of_callback(self, protocol: str, params: Mapping[str, str]) -> PageTheme | None:
        """Return how the page looks that a provider sends a browser back to.

        Args:
            protocol: whose callback it is.
            params: the callback's query parameters.
        """
        if protocol == OAUTH2:
            hashes = [hashed for _, hashed in states_of(params)]
        else:
            hashes = [oauth1.token_hash(oauth1.callback_token(params))]

        async def place(directory: Directory) -> Location | None:
            for hashed in hashes:
                if (found := await directory.consent_by_state(hashed)) is not None:
                    return found
            return None

        return await self._at(place)

    async def _at(self, find: Callable[[Directory], Awaitable[Location | None]]) -> PageTheme | None:
        async with self._store.installation() as unit:
            place = await find(Directory(unit))
        return None if place is None else await self.look_of(place.tenant_id)

    def _shown(self, tenant_id: str, theme: ConnectTheme, base: str) -> ShownTheme:
        url = None if theme.logo is None else f"{base}{LOGO_PATH}/{theme.logo.digest}"
        return ShownTheme(tenant_id, theme, url)


def page_theme(theme: ConnectTheme, tenant_name: str) -> PageTheme:
    """Return how a page looks, with names as they can be shown to anybody."""
    name = None if theme.display_name is None else printable(theme.display_name, _MAX_NAME)
    return PageTheme(
        name=name,
        tenant=printable(tenant_name, _MAX_NAME),
        shows_keyrack=theme.shows_keyrack,
        accent_color=theme.accent_color,
        logo=None if theme.logo is None else theme.logo.digest,
    )


def changed(before: ConnectTheme, changes: ThemeChanges, logo: Logo | None) -> ConnectTheme:
    """Return a theme with changes.

    Args:
        before: as it is.
        changes: what is to be different.
        logo: the new one of the changes, if they have one.

    Raises:
        ValidationFailed: an origin is none.
    """
    theme = before
    if changes.display_name is not UNSET:
        theme = replace(theme, display_name=changes.display_name)
    if changes.accent_color is not UNSET:
        theme = replace(theme, accent_color=changes.accent_color and changes.accent_color.lower())
    if changes.shows_keyrack is not UNSET:
        theme = replace(theme, shows_keyrack=changes.shows_keyrack)
    if changes.return_origins is not UNSET:
        theme = replace(theme, return_origins=checked_origins(changes.return_origins))
    if changes.logo is not UNSET:
        theme = replace(theme, logo=None if logo is None else logo.facts)
    return theme
