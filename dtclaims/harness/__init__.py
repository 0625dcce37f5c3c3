"""Claims of any paper, their verdicts and reports. It knows no paper: a lab does the work."""
