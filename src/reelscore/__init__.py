"""reelscore finds music for a video: a video enters, ranked tracks with their best moment leave."""
