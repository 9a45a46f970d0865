"""What the files of an evaluation call things; for reports too, which read them without JAX."""

PRIMARY = "ridge"  # the read-out of every run, whose numbers the tables show
WORDS = ("decreased", "stable", "increased")  # the classes of ``change.CLASSES``: what the score did
CHANCES = tuple(f"p_{word}" for word in WORDS)  # columns with their probabilities
