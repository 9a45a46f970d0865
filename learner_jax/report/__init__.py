"""What a run leaves for people: metrics.jsonl, the progress line, the table, the figures and the page."""
