"""CUDA graphs: the hundreds of kernels of a pass of the MLLM, recorded once and launched together.

A pass of a few tokens is so short that a graphics card waits for Python between its kernels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)


class Replayed:
    """A function that reads and writes tensors at fixed addresses only, as a CUDA graph where possible.

    The first call runs it, which lets libraries choose their kernels; the second records it, and those after
    it replay the record. What a graph cannot hold, as the kernels of some 8-bit formats, is run as it is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.recordable = can_record(device)
        self.forget()

    def forget(self) -> None:
        """Clear the record: addresses or shapes have changed."""
        self._has_run = False
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, function: Callable[[], Tensor]) -> Tensor:
        """What the function returns, in a tensor of its own.

        It is not kept, so that whatever it belongs to can be freed. What in it depends on Python stays as it
        was when it was recorded.
        """
        if self.recordable and self._has_run and self._replay is None:
            try:
                self._replay = record(function, self.device)
            except RuntimeError as error:
                log.info("The language model runs without CUDA graphs: %s", error)
                self.recordable = False
        self._has_run = True
        return function() if self._replay is None else self._replay().clone()


def can_record(device: torch.device) -> bool:
    """Whether this is an NVIDIA card."""
    return device.type == "cuda" and torch.version.cuda is not None


def record(function: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Records what a function launches, without running it; what is returned runs that.

    Not with `torch.cuda.graph`, which collects garbage first. Meanwhile other threads may load weights.

    Raises:
        RuntimeError: the function does what a graph cannot hold.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            output = function()
        finally:
            graph.capture_end()
    torch.cuda.current_stream(device).wait_stream(stream)

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay
