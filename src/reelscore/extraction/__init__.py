"""Many files enter, features or reasons leave: the worker pool and what runs in it."""
