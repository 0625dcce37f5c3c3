"""This paper's own options: what a user may choose beside what the harness knows."""

from dtclaims.harness.lab import Option

OPTIONS: tuple[Option, ...] = (
    Option(
        "data",
        "trajectories to use: a file (D4RL HDF5, Decision Transformer pickle, Minari), "
        "a folder with one file per task, a local Minari id, legacy, or auto to search DTCLAIMS_HOME, D4RL's and "
        "Minari's folders (default: the scale's own)",
    ),
    Option("language_model", "folder or hub name of a GPT-2 to use as language backbone (default: the scale's own)"),
    Option("image_model", "folder or hub name of an ImageGPT to use as image backbone (default: the scale's own)"),
    Option(
        "checkpoints",
        "numbers of the scale's own pre-trained checkpoints that seeds are spread over, such as 1,2,3: seed s starts "
        "from the one at place s mod their count (default: 1, which ships)",
    ),
    Option(
        "simulator",
        "what evaluates runs and collects data: v4 (gymnasium's v4 tasks on today's MuJoCo) or gym-v2 (the paper's: "
        "gym's v2 tasks on MuJoCo 2.1.0, which `dtclaims legacy install` sets up) (default: gym-v2 at the scale paper, "
        "v4 elsewhere)",
    ),
)
"""The scale's own are used where nothing is given."""
