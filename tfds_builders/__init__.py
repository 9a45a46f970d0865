"""Raw scans and tables in, sharded records and a cohort table out. Imports neither JAX nor learner_jax."""

from tfds_builders.program import say_stopped

say_stopped()
