"""The synthetic world of the demo: videos and music with known matches."""
