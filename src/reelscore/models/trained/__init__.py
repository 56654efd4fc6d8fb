"""Trained models: their folder and their NumPy forward pass."""
