"""Run methods on data, with a cache of finished runs."""
