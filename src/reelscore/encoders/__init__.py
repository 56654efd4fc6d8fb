"""Encoders of video, music and text, feature extraction and the feature cache."""
