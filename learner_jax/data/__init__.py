"""Cohort and split -> rows of each step -> records -> batches on the devices."""
