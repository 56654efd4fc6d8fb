"""Linear projections: CCA and its relatives."""
