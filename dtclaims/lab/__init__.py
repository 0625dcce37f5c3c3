"""This paper's laboratory: its arms, tasks, data, networks, training and measurements."""
