"""Demonstration on a synthetic data set: train, match and report on one page."""
