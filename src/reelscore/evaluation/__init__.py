"""Retrieval metrics: ranks, intervals, reports and moment grounding."""
