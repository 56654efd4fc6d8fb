"""Map a function over many items in worker processes."""
