"""The library: track entries enter, nearest tracks and their best moments leave; LanceDB lives here only."""
