"""Synthetic data set with known mood and tempo: plan, render, video and music."""
