"""Linear CCA, and the projections that it shares with the other linear baselines."""
