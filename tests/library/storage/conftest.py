"""Fixtures of the storage tests."""

from support.library_entries import entry, everything, filter_library, library, meta, unit

__all__ = ["entry", "everything", "filter_library", "library", "meta", "unit"]
