"""Untrained matching by arousal, valence and pace."""
