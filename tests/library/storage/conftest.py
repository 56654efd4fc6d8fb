"""Fixtures of the storage tests."""

from support.library_entries import entry, everything, library, meta, unit

__all__ = ["entry", "everything", "library", "meta", "unit"]
