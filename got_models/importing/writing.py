"""Writing safetensors as a stream: one tensor in memory at a time, with a checksum of the content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ..errors import GoTError
from ..weights.checkpoint import Shapes
from ..weights.names import DTYPE_NAMES

PIECE = 1 << 22  # elements converted at a time


def write_safetensors(
    file: Path, shapes: Shapes, dtype: torch.dtype, tensors: Iterable[tuple[str, Tensor]]
) -> str:
    """Write tensors converted to `dtype`; the file has its final name only when it is complete.

    Format: 8 bytes with the header's length, the header (JSON: name -> dtype, shape, offsets), all values.

    Args:
        tensors: (name, tensor) in the order of `shapes`; consumed one at a time.

    Returns:
        The file's SHA-256.

    Raises:
        GoTError: values that are not finite, or that the dtype cannot represent.
        OSError: the file cannot be written; nothing of it is left behind.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        end = offset + prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPE_NAMES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # values start at a multiple of 8 bytes

    digest = hashlib.sha256()
    temporary = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(temporary, "wb") as output:

            def write(content: bytes | memoryview) -> None:
                digest.update(content)
                output.write(content)

            write(len(encoded).to_bytes(8, "little"))
            write(encoded)
            for name, tensor in tensors:
                for piece in tensor.reshape(-1).split(PIECE):
                    values = piece.to(dtype)
                    if not torch.isfinite(values).all():
                        raise GoTError(
                            f"{name} has values that are not finite as {DTYPE_NAMES[dtype]}; the largest is"
                            f" {piece.abs().max().item():g}. Choose bfloat16 or float32, or download again."
                        )
                    write(values.contiguous().view(torch.uint8).numpy().data)
            output.flush()
            os.fsync(output.fileno())
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return digest.hexdigest()
