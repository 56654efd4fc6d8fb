"""One study for each claim of the paper."""
