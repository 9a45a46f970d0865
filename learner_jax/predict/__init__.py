"""Predictions of a trained run for new scans: improved, stable or declined, how sure that is, and when to abstain.

Not for clinical use.
"""
