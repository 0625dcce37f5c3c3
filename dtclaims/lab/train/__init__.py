"""Training and roll-outs of one run."""
