"""The table of data that runs may ask for: a recipe's kind enters, its maker leaves."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigError
from . import latent, public, streams, told, views
from .material import Maker, Recipe

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
