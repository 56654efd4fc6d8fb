"""Self-contained web page of the matches of a video."""
