"""Encoders from transformers models of the Hugging Face hub."""
