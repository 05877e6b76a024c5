"""Which recipe a command takes where none was named, in words."""

from __future__ import annotations

__all__ = ["about_recipe"]

_ABOUT = {
    "digits": "on the digits of scikit-learn; for your own images give --data DIR",
    "glyphs": "on characters drawn from matplotlib's fonts",
    "small_images": "for pictures of 32 to 64 pixels; larger ones are resized",
}


def about_recipe(name: str) -> str:
    """A line that says which recipe it is, of those that nobody has to name."""
    from anas_zoo.pipeline import Recipe

    others = ", ".join(other for other in Recipe.presets() if other != name)
    return f"  no --recipe given, so it is {name}, {_ABOUT[name]} (others: {others}, or FILE.yaml)"
