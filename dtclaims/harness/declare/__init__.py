"""Claims as data: what a paper says, and what it takes to test it."""
