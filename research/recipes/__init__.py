"""Recipes that build the data of a run."""
