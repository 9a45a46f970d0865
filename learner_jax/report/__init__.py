"""What people see of a run: metrics.jsonl, the progress line, the table, the figures and the page."""
