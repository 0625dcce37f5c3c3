"""From stored results to verdicts."""
