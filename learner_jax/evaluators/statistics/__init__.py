"""Intervals over patients, adjusted p-values, and conformal bounds and sets."""
