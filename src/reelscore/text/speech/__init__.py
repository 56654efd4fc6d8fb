"""Speech transcription with transformers models."""
