"""Pairs: a manifest, a folder or a public set enters, checked pairs and batches leave."""
