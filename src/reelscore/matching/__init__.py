"""Match a video or a text query against a library."""
