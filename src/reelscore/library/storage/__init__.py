"""How a library is stored on disk: LanceDB and a memory-mapped snapshot."""
