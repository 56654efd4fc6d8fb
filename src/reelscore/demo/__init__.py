"""The demonstration: a seed enters, a small world of known truth, trained models and an HTML page leave."""
