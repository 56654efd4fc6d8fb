"""Linear and kernel CCA, fused: a closed-form model in NumPy."""
