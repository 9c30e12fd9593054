"""Writing safetensors as a stream."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from got_models.importing.writing import write_safetensors


def test_a_streamed_file_is_what_safetensors_reads(tmp_path: Path) -> None:
    tensors = {
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "turned": torch.arange(12.0).reshape(3, 4).T,
        "long name " * 9: torch.randn(5, dtype=torch.float64),
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    file = tmp_path / "folder/weights.safetensors"
    digest = write_safetensors(file, shapes, torch.float16, tensors.items())
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    received = load_file(file)
    assert received.keys() == tensors.keys()
    assert all(torch.equal(received[name], tensor.half()) for name, tensor in tensors.items())
    with safe_open(str(file), framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}  # without which transformers refuses it


def test_a_file_longer_than_one_piece_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("got_models.importing.writing.PIECE", 7)
    tensor = torch.randn(5, 6)
    write_safetensors(tmp_path / "a.safetensors", {"a": (5, 6)}, torch.float32, [("a", tensor)])
    assert torch.equal(load_file(tmp_path / "a.safetensors")["a"], tensor)


def test_an_error_while_writing_leaves_no_file_and_the_old_one_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_text("old")

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        yield "a", torch.ones(2)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_safetensors(file, {"a": (2,), "b": (2,)}, torch.float32, tensors())
    assert os.listdir(tmp_path) == ["a.safetensors"]
    assert file.read_text() == "old"
