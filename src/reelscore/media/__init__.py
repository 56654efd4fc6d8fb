"""Decode, probe and write audio and video files with PyAV."""
