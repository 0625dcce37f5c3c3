"""CUDA graphs of several runs in one process: captures take turns, and each run draws from a generator of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CAPTURING = threading.Lock()
"""Held during a capture: those of several threads take turns."""


@contextmanager
def captured(graph: torch.cuda.CUDAGraph, device: torch.device) -> Iterator[None]:
    """Record what is queued on the current stream into `graph`; other threads may use the GPU meanwhile."""
    stream = torch.cuda.current_stream(device)
    with CAPTURING, torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        yield
