"""What `python -m benchmarks` measures: a training step against its peers, against a floor, and its parts.

Not part of the installed package; run from the repository's root.
"""
