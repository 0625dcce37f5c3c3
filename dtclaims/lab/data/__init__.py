"""Tasks, physics, policies, trajectories and training windows."""
