"""A trained run on new scans: improved, stable or declined, how sure that is, and when it had better not be said.

Not for clinical use.
"""
