"""What goes together: styles with their colours, patterns and lengths, for compatibility to be learned and measured.

An outfit is of one style; each of its choices is random instead with the probability `FREE`, as in real wardrobes.
"""

import colorsys
import dataclasses

import numpy as np

FREE = 0.4  # of the choices follow no rule

# Hue, saturation and value, as screens show them.
COLOURS = {
    "white": (0.0, 0.0, 0.95), "black": (0.0, 0.0, 0.09), "grey": (0.0, 0.0, 0.5), "charcoal": (0.6, 0.06, 0.22),
    "beige": (0.1, 0.25, 0.85), "brown": (0.07, 0.55, 0.35), "olive": (0.18, 0.5, 0.4), "mustard": (0.12, 0.75, 0.8),
    "red": (0.99, 0.78, 0.72), "burgundy": (0.97, 0.7, 0.4), "pink": (0.95, 0.3, 0.92), "coral": (0.03, 0.55, 0.95),
    "yellow": (0.15, 0.6, 0.95), "green": (0.38, 0.6, 0.5), "mint": (0.43, 0.25, 0.88), "teal": (0.5, 0.6, 0.45),
    "pale blue": (0.58, 0.18, 0.92), "blue": (0.6, 0.7, 0.65), "navy": (0.62, 0.6, 0.26), "denim": (0.6, 0.42, 0.5),
    "lilac": (0.75, 0.22, 0.85), "purple": (0.77, 0.5, 0.45),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Style:
    """What belongs to a style: names in `COLOURS`, patterns of `textures`, and numbers of `garments.Cut`."""

    tops: tuple[str, ...]
    lowers: tuple[str, ...]
    patterns: tuple[str, ...]  # of the top; below it cloth is plain
    sleeves: tuple[float, ...]
    trousers: tuple[float, ...]  # how long their legs are
    skirts: tuple[float, ...]  # and skirts and dresses; none: nobody wears any
    shoes: tuple[str, ...]


STYLES = {
    "office": Style(
        ("white", "pale blue", "pink", "grey", "charcoal"), ("navy", "charcoal", "black", "grey"),
        ("plain", "plain", "stripes"), (1.2, 1.9), (1.95,), (0.9, 1.05), ("black", "brown"),
    ),
    "casual": Style(
        ("white", "grey", "red", "green", "blue", "mustard", "black"), ("denim", "denim", "navy", "beige"),
        ("plain", "plain", "rows", "dots"), (0.45, 0.6, 1.9), (1.4, 1.95), (0.8, 1.0), ("white", "grey", "navy"),
    ),
    "summer": Style(
        ("white", "yellow", "coral", "mint", "pale blue", "pink"), ("white", "beige", "pale blue", "denim"),
        ("plain", "dots", "rows"), (0.0, 0.45), (0.55, 0.85), (0.6, 0.9, 1.5), ("white", "beige"),
    ),
    "sport": Style(
        ("black", "red", "blue", "yellow", "teal", "white"), ("black", "charcoal", "grey"),
        ("plain", "stripes"), (0.0, 0.45, 1.9), (0.55, 1.4, 1.95), (), ("white", "black", "red"),
    ),
    "autumn": Style(
        ("mustard", "olive", "burgundy", "beige", "brown"), ("brown", "olive", "denim", "black"),
        ("plain", "checks", "rows"), (1.2, 1.9), (1.95,), (1.0, 1.4), ("brown", "black"),
    ),
    "evening": Style(
        ("black", "burgundy", "navy", "purple", "teal"), ("black", "navy", "charcoal"),
        ("plain",), (0.0, 1.9), (1.95,), (1.0, 1.7), ("black",),
    ),
}  # fmt: skip


def sample(generator: np.random.Generator) -> str:
    """A style's name."""
    return tuple(STYLES)[generator.integers(len(STYLES))]


def choose(generator: np.random.Generator, allowed: tuple, anything: tuple, free: float = FREE):
    """One of what a style allows or, with the probability `free` and where it allows nothing, of anything."""
    options = anything if generator.random() < free or not allowed else allowed
    return options[generator.integers(len(options))]


def colour(generator: np.random.Generator, name: str) -> np.ndarray:
    """A shade [3] of a colour of `COLOURS`."""
    hue, saturation, value = COLOURS[name]
    spread = generator.normal(0, 1, 3) * (0.015, 0.05, 0.04)
    return np.float32(
        colorsys.hsv_to_rgb((hue + spread[0]) % 1, *np.clip([saturation + spread[1], value + spread[2]], 0, 1))
    )
