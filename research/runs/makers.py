"""The table of data that runs may ask for: a recipe's kind enters, its maker leaves."""

from __future__ import annotations

from collections.abc import Mapping

from reelscore.errors import ConfigError
from research.recipes import derived as views
from research.recipes import oracle as told
from research.recipes import public
from research.recipes import synthetic as latent
from research.recipes import two_streams as streams
from research.recipes.recipe import Maker, Recipe

MAKERS: Mapping[str, Maker] = {
    "set": public.SET,
    "told": told.TOLD,
    "latent": latent.LATENT,
    "halves": views.HALVES,
    "classmates": views.CLASSMATES,
    "excerpt": views.EXCERPT,
    "streams": streams.STREAMS,
}


def maker_of(recipe: Recipe) -> Maker:
    """Return the maker of a recipe, or raise `ConfigError` for an unknown kind."""
    kind = str(recipe.get("kind"))
    if kind not in MAKERS:
        raise ConfigError(f"a recipe's kind must be one of {', '.join(MAKERS)}, got {kind!r}")
    return MAKERS[kind]
