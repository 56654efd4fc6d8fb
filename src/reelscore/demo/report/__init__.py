"""HTML report of the demo."""
