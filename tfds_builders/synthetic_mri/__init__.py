"""A synthetic cohort of brain MRI: strong identity, subtle severity, a score that mostly declines over visits."""
