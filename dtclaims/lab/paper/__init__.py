"""The paper's own numbers, as readings of its own runs: nothing is measured here, and nothing needs torch."""
