"""Storage of a library in LanceDB tables and memory-mapped snapshots."""
