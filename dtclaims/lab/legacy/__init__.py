"""The paper's own stack: gym and mujoco-py on MuJoCo 2.1.0, in an environment of its own."""
