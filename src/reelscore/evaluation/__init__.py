"""Embeddings of pairs enter; ranks, metrics with intervals, chance levels and a linear rival leave."""
