"""A synthetic lung-ultrasound cohort: strong identity, subtle severity, a score that goes up and down over visits."""
