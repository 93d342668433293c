"""Makes readable colours of a tenant's accent colour, in a light and a dark theme (WCAG, contrast (minimum))."""

from collections.abc import Sequence
from dataclasses import dataclass

READABLE = 4.5
"""The least contrast of text with what is behind it (WCAG, contrast (minimum))."""

LIGHT_GROUNDS = ("#ffffff", "#f4f6fa", "#eef1f6")
"""What is behind text on a page in the light theme (`api/core/static/pages.css`)."""

DARK_GROUNDS = ("#1c212c", "#232936", "#12151c")
"""The same in the dark theme."""

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_STEPS = 40

_Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class AccentColors:
    """Colours that a page is shown in, each as `#rrggbb`.

    Attributes:
        fill: of the button: the accent as it was chosen.
        on_fill: of the text on that.
        light: of links on light grounds: the accent, made darker as far as it must be.
        dark: of links on dark grounds: the accent, made lighter as far as it must be.
    """

    fill: str
    on_fill: str
    light: str
    dark: str


def accent_colors(accent: str) -> AccentColors:
    """Return the colours that belong to an accent colour, given as `#rrggbb`."""
    chosen = _rgb(accent)
    on_fill = max((_BLACK, _WHITE), key=lambda text: _contrast(text, chosen))
    return AccentColors(
        fill=_hex(chosen),
        on_fill=_hex(on_fill),
        light=_hex(_readable(chosen, LIGHT_GROUNDS, _BLACK)),
        dark=_hex(_readable(chosen, DARK_GROUNDS, _WHITE)),
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG, contrast ratio)."""
    return _contrast(_rgb(one), _rgb(other))


def _readable(color: _Rgb, grounds: Sequence[str], towards: _Rgb) -> _Rgb:
    """Return a colour, mixed with as little of another as makes it readable on all of some grounds."""
    behind = [_rgb(ground) for ground in grounds]
    for step in range(_STEPS + 1):
        mixed = _mixed(color, towards, step / _STEPS)
        if min(_contrast(mixed, ground) for ground in behind) >= READABLE:
            return mixed
    return towards


def _mixed(color: _Rgb, other: _Rgb, share: float) -> _Rgb:
    red, green, blue = (round(mine + (theirs - mine) * share) for mine, theirs in zip(color, other, strict=True))
    return red, green, blue


def _contrast(one: _Rgb, other: _Rgb) -> float:
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(color: _Rgb) -> float:
    """Return the relative luminance of a colour in sRGB (WCAG)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - as sRGB defines it
        for part in (value / 255 for value in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> _Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _hex(color: _Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
