"""Names in the files of an evaluation; in a module of their own for reports, which read these without JAX."""

PRIMARY = "ridge"  # the read-out that every run has and that tables show
WORDS = ("decreased", "stable", "increased")  # what the score did, for each of ``change.CLASSES``
CHANCES = tuple(f"p_{word}" for word in WORDS)  # columns of their probabilities
