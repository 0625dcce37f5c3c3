"""CUDA graphs of several runs in one process: captures take turns, and each run draws from a generator of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CAPTURING = threading.RLock()
"""Held during a capture: the graph takes hold of the device's generator, which `drawing_from` may have exchanged."""


@contextmanager
def captured(graph: torch.cuda.CUDAGraph, device: torch.device) -> Iterator[None]:
    """Record what is queued on the current stream into `graph`; other threads may use the GPU meanwhile."""
    stream = torch.cuda.current_stream(device)
    with CAPTURING, torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        yield


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let operations without a generator argument, such as dropout, draw from `generator`.

    A graph that is captured inside goes on to draw from it at each replay: two graphs that shared a generator
    would depend on each other's order, and on two streams at once would overwrite each other's seeds.
    """
    index = generator.device.index
    torch.cuda.init()  # type: ignore[no-untyped-call]
    default = torch.cuda.default_generators[torch.cuda.current_device() if index is None else index]
    with CAPTURING:
        before = default.graphsafe_get_state()
        default.graphsafe_set_state(generator.graphsafe_get_state())
        try:
            yield
        finally:
            default.graphsafe_set_state(before)
