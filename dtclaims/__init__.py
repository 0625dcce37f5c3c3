"""dtclaims: executable claims about pre-training for offline reinforcement learning."""

__version__ = "0.1.0"
