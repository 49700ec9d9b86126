"""Whether a colour can be read on a page, by day and by night."""

from __future__ import annotations

WHITE, NIGHT = "#FFFFFF", "#0D1117"  # the backgrounds of a page on GitHub


def can_be_read(colour: str) -> bool:
    """Tell whether lines and large letters of a colour stand out on both backgrounds."""
    return min(contrast(colour, WHITE), contrast(colour, NIGHT)) >= 3.0


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, as WCAG 2 has it: from 1 to 21."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
