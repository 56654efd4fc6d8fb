"""Tables, charts and intervals of the studies."""
