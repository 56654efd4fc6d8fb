"""Trainable two-tower networks in PyTorch."""
