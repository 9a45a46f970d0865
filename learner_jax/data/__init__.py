"""Cohort and split -> rows of a step -> records -> batches on the devices."""
