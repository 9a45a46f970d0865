"""Train and score encoders of longitudinal scans in JAX."""
