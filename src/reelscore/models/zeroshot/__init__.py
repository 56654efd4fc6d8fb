"""Zero-shot matching through the labels of a vocabulary."""
