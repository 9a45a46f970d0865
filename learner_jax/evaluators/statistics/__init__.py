"""What a reviewer asks of a number: intervals over patients, tests between runs, seeds, sets that cover."""
