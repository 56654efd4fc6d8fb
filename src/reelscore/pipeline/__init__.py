"""Pipeline from a file to its embedding: encoders and a model."""
