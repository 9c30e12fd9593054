"""The number format that the command line loads weights in."""

from __future__ import annotations

import pytest
import torch

from got_models.commands.options import choose_dtype


def test_on_a_cpu_weights_are_float32_unless_asked_otherwise() -> None:
    assert choose_dtype("auto", "cpu") == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_number_format_that_is_named_is_taken_on_every_device(name: str, device: str) -> None:
    assert choose_dtype(name, device) == getattr(torch, name)


@pytest.mark.parametrize(("supported", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_gets_bfloat16_where_it_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert choose_dtype("auto", "cuda") == expected
