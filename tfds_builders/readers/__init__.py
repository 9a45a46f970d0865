"""One file -> array and the few header facts that are kept. The content decides how it is read, never the suffix."""
