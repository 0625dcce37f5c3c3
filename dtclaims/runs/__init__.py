"""Runs: what they are, where they are kept, in which order and by whom they are made."""
