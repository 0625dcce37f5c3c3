"""CUDA graphs of several runs in one process, whose captures take turns, and marks to wait for without a core."""

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


def mark() -> torch.cuda.Event:
    """An event whose wait sleeps: CUDA's own way keeps a core busy, and physics processes want every core."""
    return torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
