"""From a file to its embedding: encoders and model together."""
