"""Render a video with music, or export the edit as a timeline."""
