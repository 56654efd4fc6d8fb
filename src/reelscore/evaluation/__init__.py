"""Embeddings of pairs enter; ranks, metrics with intervals, chance levels and linear rivals leave."""
