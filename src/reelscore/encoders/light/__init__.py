"""Built-in encoders without weights: colour, motion, timbre, rhythm and harmony."""
