"""What a track is: rhythm, key, loudness, sections and a fingerprint of the recording."""
