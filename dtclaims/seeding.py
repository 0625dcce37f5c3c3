"""Random streams, one per (seed, purpose).

The reference seeds torch only, so its batches and roll-outs differ from run to run (DEV-21).
Here every draw comes from a stream named by what it is for: adding a draw to one purpose never
shifts another, and arms that must be paired share a stream by sharing the purpose.
"""

import hashlib

import numpy as np


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose`, a pure function of (seed, purpose)."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator (PCG64) for `purpose`; torch users pass `derive` to `manual_seed`."""
    return np.random.Generator(np.random.PCG64(derive(seed, purpose)))
