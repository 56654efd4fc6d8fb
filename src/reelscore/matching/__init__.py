"""Matching of videos and texts with the tracks of a library."""
