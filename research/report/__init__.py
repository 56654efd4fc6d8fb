"""Intervals, comparisons and tables of the studies."""
