"""An adapter's file: nothing in it, and no strength, does harm, and it is not held open."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.weights.adapter import TOKENS, WORD_IDS, WORDS, Adapter
from got_models.weights.adapter_files import load_adapter, save_adapter
from got_models.weights.adapting import check_adapter, check_strengths
from got_models.weights.checkpoint import check
from got_models.weights.merging import merge_adapter

TINY = Path(__file__).parents[3] / "got_models" / "tiny"
LAYER = "mllm.model.language_model.layers.0.self_attn.q_proj"
WIDTH = check(TINY).sizes.hidden
FORMATS = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "U8": np.uint8}
Entry = tuple[str, list[int], bytes]


def array(kind: str, *shape: int, value: float = 0.01) -> Entry:
    return kind, list(shape), np.full(shape, value, FORMATS[kind]).tobytes()


def ids(*values: int) -> Entry:
    return "I64", [len(values)], np.array(values, np.int64).tobytes()


def good() -> dict[str, Entry]:
    return {
        f"{LAYER}.lora_A": array("F32", 4, WIDTH),
        f"{LAYER}.lora_B": array("F32", WIDTH, 4),
        TOKENS: array("F32", 66, WIDTH),
        WORDS: array("F32", 2, WIDTH),
        WORD_IDS: ids(5, 9),
        "unet.conv_out.bias": array("F16", 4),
    }


METADATA = {
    "format": "got-adapter",
    "format_version": "1",
    "mllm_scale": "1.0",
    "unet_scale": "1.0",
    "information": "{}",
}


def write(file: Path, entries: dict[str, Entry], metadata: Any = METADATA) -> None:
    """A safetensors file by hand, so that it can be wrong."""
    header: dict[str, Any] = {"__metadata__": metadata}
    place, data = 0, b""
    for name, (kind, shape, content) in entries.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + len(content)]}
        place, data = place + len(content), data + content
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def with_entries(**changes: Entry | None) -> Callable[[Path], None]:
    names = {"A": f"{LAYER}.lora_A", "B": f"{LAYER}.lora_B", "T": TOKENS, "W": WORDS, "I": WORD_IDS}

    def damage(file: Path) -> None:
        entries: dict[str, Any] = good() | {names.get(key, key): value for key, value in changes.items()}
        write(file, {name: entry for name, entry in entries.items() if entry is not None})

    return damage


def with_metadata(**changes: Any) -> Callable[[Path], None]:
    changed = {key: value for key, value in (METADATA | changes).items() if value is not None}
    return lambda file: write(file, good(), changed)


def with_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        write(file, good())
        file.write_bytes(change(file.read_bytes()))

    return damage


def with_header(text: str | bytes) -> Callable[[Path], None]:
    content = text.encode() if isinstance(text, str) else text
    return lambda file: file.write_bytes(len(content).to_bytes(8, "little") + content)


NAN, INFINITE = math.nan, math.inf
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda file: None,
    "a folder": lambda file: file.mkdir(),
    "empty": lambda file: file.write_bytes(b""),
    "three bytes": lambda file: file.write_bytes(b"abc"),
    "a picture": lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a pickle": lambda file: file.write_bytes(b"\x80\x04\x95" + bytes(100)),
    "truncated data": with_bytes(lambda content: content[:-100]),
    "truncated header": with_bytes(lambda content: content[:100]),
    "more data": with_bytes(lambda content: content + bytes(8)),
    "header of 2**63 bytes": with_bytes(lambda content: b"\xff" * 7 + b"\x7f" + content[8:]),
    "header of 2**40 bytes": lambda file: file.write_bytes((2**40).to_bytes(8, "little") + b"{"),
    "header of spaces": with_header(b"{" + b" " * (17 << 20) + b"}"),
    "nested header": with_header('{"a":' * 10_000 + "1" + "}" * 10_000),
    "header is a list": with_header("[1, 2]"),
    "header is not UTF-8": with_header(b'{"\xff": 1}'),
    "metadata is a list": lambda file: write(file, good(), []),
    "metadata is nested": lambda file: write(file, good(), METADATA | {"information": {}}),
    "no metadata": lambda file: write(file, good(), {}),
    "another format": with_metadata(format="pt"),
    "a newer version": with_metadata(format_version="2"),
    "no scale": with_metadata(mllm_scale=None),
    "scale in words": with_metadata(mllm_scale="half"),
    "scale of 100,000 characters": with_metadata(mllm_scale="[" * 100_000),
    "scale is nan": with_metadata(mllm_scale="nan"),
    "scale is infinite": with_metadata(unet_scale="-inf"),
    "scale is a list": with_metadata(unet_scale="[1]"),
    "no information": with_metadata(information=None),
    "information is a list": with_metadata(information="[]"),
    "information is a number": with_metadata(information="1e999"),
    "information is a long number": with_metadata(information="1" * 5000),
    "information is not JSON": with_metadata(information="{'a': 1}"),
    "information is nested": with_metadata(information="[" * 100_000),
    "nothing in it": lambda file: write(file, {}),
    "a name of 20,000 characters": with_entries(**{"unet." + "a." * 10_000 + "bias": array("F32", 4)}),
    "only A": with_entries(B=None),
    "only B": with_entries(A=None),
    "another rank": with_entries(B=array("F32", WIDTH, 3)),
    "A is flat": with_entries(A=array("F32", WIDTH)),
    "B is flat": with_entries(B=array("F32", WIDTH)),
    "A has three dimensions": with_entries(A=array("F32", 4, WIDTH, 1)),
    "rank 0": with_entries(A=array("F32", 0, WIDTH), B=array("F32", WIDTH, 0)),
    "whole numbers": with_entries(A=array("I32", 4, WIDTH)),
    "bytes": with_entries(T=array("U8", 66, WIDTH)),
    "fp8": with_entries(T=("F8_E4M3", [66, WIDTH], bytes(66 * WIDTH))),
    "NaN in A": with_entries(A=array("F32", 4, WIDTH, value=NAN)),
    "infinite in B": with_entries(B=array("F32", WIDTH, 4, value=INFINITE)),
    "NaN in half precision": with_entries(**{"unet.conv_out.bias": array("F16", 4, value=NAN)}),
    "65 tokens": with_entries(T=array("F32", 65, WIDTH)),
    "tokens of another width": with_entries(T=array("F32", 66, WIDTH + 1)),
    "words without ids": with_entries(I=None),
    "ids without words": with_entries(W=None),
    "more ids than words": with_entries(I=ids(5, 9, 11)),
    "an id below 0": with_entries(I=ids(5, -1)),
    "an id of no token": with_entries(I=ids(5, 10**9)),
    "an id twice": with_entries(I=ids(5, 5)),
    "ids are fractions": with_entries(I=array("F32", 2)),
    "ids in a square": with_entries(W=array("F32", 2, WIDTH), I=("I64", [2, 1], bytes(16))),
    "no such weight": with_entries(**{"unet.conv_out.beauty": array("F32", 4)}),
    "no such part": with_entries(**{"vae.encoder.conv_in.bias": array("F32", 4)}),
    "no name": with_entries(**{"": array("F32", 4)}),
    "half a name": with_entries(**{"\ud800unet.conv_out.bias": array("F32", 4)}),
    "a weight of another shape": with_entries(**{"unet.conv_out.bias": array("F32", 5)}),
    "an empty weight": with_entries(**{"unet.conv_out.bias": array("F32", 0)}),
}


@pytest.fixture(scope="module")
def model() -> GoTModel:
    return GoTModel.from_pretrained(TINY)


def test_a_good_file_written_by_hand_is_read(tmp_path: Path, model: GoTModel) -> None:
    write(tmp_path / "good.safetensors", good())
    adapter = load_adapter(tmp_path / "good.safetensors")
    check_adapter(model.path, model.settings.sizes, adapter)
    assert adapter.tensors.keys() == good().keys()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in folders are Unix's")
def test_what_is_no_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for path in (tmp_path / "pipe.safetensors", tmp_path):
        with pytest.raises(GoTError, match="is not a file"):
            load_adapter(path)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_a_mistake_that_names_the_file_or_the_weight(
    damage: Callable[[Path], Any], tmp_path: Path, model: GoTModel
) -> None:
    file = tmp_path / "damaged.safetensors"
    damage(file)
    with pytest.raises(GoTError) as raised:
        check_adapter(model.path, model.settings.sizes, load_adapter(file))
    message = str(raised.value)
    assert "damaged.safetensors" in message or "does not fit this checkpoint" in message
    assert len(message) < 600
    message.encode()


def adapter(value: float = 1.0, scale: float = 1.0, **tensors: Tensor) -> Adapter:
    return Adapter({"unet.conv_out.bias": torch.full((4,), value), **tensors}, scale, scale, {})


@pytest.mark.parametrize("strength", [math.nan, math.inf, -math.inf, 1e38, -1e9, "1", None])
@pytest.mark.parametrize("part", ["mllm_strength", "unet_strength"])
def test_a_strength_that_cannot_be_used_changes_nothing(
    strength: Any, part: str, model: GoTModel, tmp_path: Path
) -> None:
    both = adapter(**{"projectors.output_projector.projector.bias": torch.ones(WIDTH)})  # type: ignore[arg-type]
    with pytest.raises(GoTError, match=rf"{part} must be a number|Choose smaller strengths"):
        check_strengths(both, **({"mllm_strength": 1.0, "unet_strength": 1.0} | {part: strength}))
    with pytest.raises(GoTError):
        model.apply_adapter(both, **{part: strength})
    assert not {"reasoner", "ssgm", "unet"} & {*vars(model)}, "nothing was even loaded"
    save_adapter(tmp_path / "adapter.safetensors", both)
    with pytest.raises(GoTError):
        merge_adapter(TINY, tmp_path / "adapter.safetensors", tmp_path / "merged", **{part: strength})
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize(("value", "scale"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_an_adapter_is_of_finite_numbers(value: float, scale: float) -> None:
    with pytest.raises(GoTError, match=r"NaN or infinite|must be a finite number"):
        adapter(value, scale)


def test_changes_that_only_multiplied_are_too_large_are_refused(model: GoTModel) -> None:
    factors = {
        f"{LAYER}.lora_A": torch.full((4, WIDTH), 1e20),
        f"{LAYER}.lora_B": torch.full((WIDTH, 4), 1e20),
    }
    with pytest.raises(GoTError, match="Choose smaller strengths"):
        model.apply_adapter(Adapter(factors, 1.0, 1.0, {}))


def mapped(file: Path) -> bool:
    return str(file) in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux shows what is mapped")
def test_an_adapter_in_use_does_not_keep_its_file_mapped(tmp_path: Path) -> None:
    """On Windows a mapped file cannot be replaced, and the next save of a training would fail."""
    file = tmp_path / "adapter.safetensors"
    save_adapter(file, adapter())
    loaded = load_adapter(file)
    assert not mapped(file)
    save_adapter(file, adapter(2.0))
    assert float(loaded.tensors["unet.conv_out.bias"][0]) == 1.0
