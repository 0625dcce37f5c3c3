"""The measurements that claims name: how stored runs are read under each protocol (protocol §7).

A measurement is defined by the switches it obeys. Those that need the networks run once, in a worker,
and their values are stored; those that read curves are computed when asked.
"""

from dtclaims.lab.measurements import (
    action_errors,
    attention,
    blocks,
    curves,
    gradients,
    information,
    parameters,
    probe,
    representation,
)
from dtclaims.lab.measurements.bench import Bench, Measurement

MEASUREMENTS: dict[str, Measurement] = {
    **curves.MEASUREMENTS,
    **representation.MEASUREMENTS,
    **parameters.MEASUREMENTS,
    **attention.MEASUREMENTS,
    **blocks.MEASUREMENTS,
    **action_errors.MEASUREMENTS,
    **gradients.MEASUREMENTS,
    **information.MEASUREMENTS,
    **probe.MEASUREMENTS,
}

__all__ = ["MEASUREMENTS", "Bench", "Measurement"]
