"""Zero-shot matching by the terms of a vocabulary."""
