"""Pairs of video and music: manifests, splits, features and batches."""
