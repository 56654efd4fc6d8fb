"""Studies of the method's claims; run one with ``python -m research STUDY``."""
