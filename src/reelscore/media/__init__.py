"""A media file enters, streams of timestamped frames and sound blocks leave; PyAV lives here and nowhere else."""
