"""Library of music: indexing, compatibility and storage."""
