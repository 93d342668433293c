"""Whatever colour a tenant chooses, text stays readable in both themes (WCAG, contrast (minimum))."""

import pytest

from keyrack.service.consents.theme_colors import DARK_GROUNDS, LIGHT_GROUNDS, READABLE, accent_colors, contrast


@pytest.mark.parametrize(
    "accent",
    ["#000000", "#ffffff", "#ffff00", "#777777", "#0a7d4f", "#ff0000", "#0000ff", "#12151c", "#eef1f6", "#8a8a00"],
)
def test_text_is_readable_on_and_in_every_accent(accent: str) -> None:
    made = accent_colors(accent)
    assert made.fill == accent
    assert contrast(made.on_fill, made.fill) >= READABLE
    assert all(contrast(made.light, ground) >= READABLE for ground in LIGHT_GROUNDS)
    assert all(contrast(made.dark, ground) >= READABLE for ground in DARK_GROUNDS)


def test_a_readable_accent_is_left_as_it_is() -> None:
    assert accent_colors("#0a5c3a").light == "#0a5c3a"
    assert accent_colors("#7fe0b0").dark == "#7fe0b0"


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
