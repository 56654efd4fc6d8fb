"""Feature sequences enter, embeddings of video and music in one space leave.

What search needs (`checkpoint`, `folder`, `forward`, `affect`) is NumPy alone; only `towers` and `dual_encoder`,
which training builds, import torch.
"""
