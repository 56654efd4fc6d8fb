"""Streams enter, `FeatureSequence`s leave: encoders, the cache of what they said, and extraction.

Nothing is imported here, for each module brings what it needs: `spec` names the encoders, `extract` runs one over a
file, `cache` keeps the answer, `light_video` and `light_music` are built in, `pack` reads a folder of ONNX encoders.
"""
