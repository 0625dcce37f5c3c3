"""From claims to the jobs that they need."""
