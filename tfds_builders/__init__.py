"""Raw scans and tables in, sharded records and a cohort table out. Imports neither JAX nor learner_jax."""
