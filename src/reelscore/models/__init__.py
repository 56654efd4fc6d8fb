"""Models that embed feature sequences of videos and music in one space.

Search needs NumPy alone. Only `towers`, which training uses, imports torch.
"""
