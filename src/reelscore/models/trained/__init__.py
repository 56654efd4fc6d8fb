"""Trained models on disk and their NumPy forward pass."""
