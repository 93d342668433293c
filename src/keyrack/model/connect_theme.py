"""How the pages look on which people connect accounts for a tenant (decision 36)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LogoFacts:
    """What is known of a tenant's logo without its content.

    Attributes:
        digest: 64 hexadecimal digits that no other logo has, of any tenant; its address on our host.
        media_type: as it is served.
        width: in pixels.
        height: in pixels.
        size: in bytes.
    """

    digest: str
    media_type: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo with its content."""

    facts: LogoFacts
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectTheme:
    """What a tenant has said about its pages; without all of it they look as we made them.

    Attributes:
        display_name: what stands above the page.
        accent_color: of buttons and links, as `#rrggbb`.
        shows_keyrack: whether our name is on the pages.
        return_origins: web origins beside our own that `return_url` may lead to.
        logo: what stands beside the name.
    """

    display_name: str | None = None
    accent_color: str | None = None
    shows_keyrack: bool = True
    return_origins: tuple[str, ...] = ()
    logo: LogoFacts | None = None
