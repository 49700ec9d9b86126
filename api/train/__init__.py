"""Training of policies for tasks of active learning. Nothing else in the package imports it.

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382. Constants are ours.
"""
