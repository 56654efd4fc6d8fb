"""Matching: rank the tracks of a library for a video or a text, and place the best moment."""
