"""The demo's report page."""
