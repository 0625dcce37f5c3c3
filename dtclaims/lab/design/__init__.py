"""What there is to be run: arms, switches, tasks, scales, specifications. Tables, each fact once."""
