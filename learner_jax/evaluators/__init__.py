"""Embeddings of a cohort -> read-out fitted on train and val -> scores of fine-grained ordering on test."""
