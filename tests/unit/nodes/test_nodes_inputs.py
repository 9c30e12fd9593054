"""At every node's door: what is not what the input declares is refused by name, before the node works."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from typing import Any

import got_pack
import numpy as np
import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.dataset.rows import Dataset
from got_pack.got_models.errors import GoTError
from got_pack.nodes._comfy.folders import BUNDLED_NAME
from got_pack.nodes._inputs import ANY_BOXES, ExternalChanges, checked
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.guidance import EncodedPlan
from got_pack.nodes.lora import FROM_TRAINING

NODES = got_pack.NODE_CLASS_MAPPINGS
CHAIN = ReasoningChain.parse("A star (1,2),(300,400).", "generate", "a star")
RIGHT = {
    "GOT_MODEL": ManagedModel.__new__(ManagedModel),
    "GOT_CHAIN": CHAIN,
    "GOT_GUIDANCE": EncodedPlan.__new__(EncodedPlan),
    "GOT_DATASET": Dataset(Path(), (), ()),
    "GOT_ADAPTER": Path("adapter.safetensors"),
    "IMAGE": torch.zeros(1, 8, 8, 3),
    "MODEL": object(),
    "CLIP": object(),
    "CONDITIONING": [[torch.zeros(1, 77, 8), {}]],
    "HOOKS": object(),
    "STRING": "text",
    ANY_BOXES: [{"bbox_2d": [1, 2, 300, 400], "label": "a star"}],
}
BY_NAME = {"checkpoint": BUNDLED_NAME, "adapter": FROM_TRAINING}
NUMBERS = [None, True, "1", float("nan"), float("inf"), 10**400, -(10**9), [1], torch.zeros(1)]
OBJECTS = [7, "text", [], {}, {"samples": torch.zeros(1, 4, 8, 8)}, object()]
WRONG: dict[str, list[Any]] = {
    "INT": [*NUMBERS, 1.0],
    "FLOAT": NUMBERS,
    "BOOLEAN": [None, 0, 1, "true", torch.ones(1)],
    "STRING": [None, 7, ["text"], {}, torch.zeros(1), "\ud800", "a\0b"],
    "COMBO": [None, 7, True, "no such choice", ["full"], {}, torch.zeros(1)],
    "MODEL": [None],
    "CLIP": [None],
    "HOOKS": [None],
    "CONDITIONING": [None, 7, "text", {}, {"samples": torch.zeros(1, 4, 8, 8)}, object(), torch.zeros(1)],
    ANY_BOXES: [None, 7, "text", [], {}, {"samples": torch.zeros(1, 4, 8, 8)}, object(), torch.zeros(1)],
}


def declared(node: Any) -> dict[str, Any]:
    types = node.INPUT_TYPES()
    return {**types["required"], **types.get("optional", {})}


def right(name: str, kind: Any, options: dict[str, Any]) -> Any:
    if isinstance(kind, list):
        return BY_NAME.get(name) or next(iter(kind), "nothing")
    return options.get("default") if "default" in options else RIGHT[kind]


def wrong(kind: Any) -> list[Any]:
    if isinstance(kind, list):
        return WRONG["COMBO"]
    others = [value for other, value in RIGHT.items() if other not in (kind, "STRING", "MODEL")]
    return WRONG.get(kind) or [None, *OBJECTS, *others]


CASES = [
    pytest.param(node, name, value, id=f"{node}-{name}-{type(value).__name__}")
    for node in sorted(NODES)
    for name, (kind, _) in declared(NODES[node]).items()
    for value in wrong(kind)
    if not (value is None and name in NODES[node].INPUT_TYPES().get("optional", {}))
]


@pytest.mark.parametrize(("node", "name", "value"), CASES)
def test_a_wrong_input_is_refused(node: str, name: str, value: Any) -> None:
    inputs = {key: right(key, kind, options) for key, (kind, options) in declared(NODES[node]).items()}
    with pytest.raises(GoTError) as error:
        getattr(NODES[node](), NODES[node].FUNCTION)(**{**inputs, name: value})
    message = str(error.value)
    message.encode()
    assert len(message) < 500 or "There now" in message
    if not isinstance(value, str):
        assert name in message or "expected a name" in message


@checked
class Echo:
    FUNCTION = "echo"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        number = {"default": 1, "min": 0, "max": 8}
        return {
            "required": {"whole": ("INT", number), "real": ("FLOAT", number), "text": ("STRING", {})},
            "optional": {"choice": (["first", "second"], {}), "image": ("IMAGE", {})},
            "hidden": {"png": "EXTRA_PNGINFO", "node_id": "UNIQUE_ID"},
        }

    def echo(
        self,
        whole: int,
        real: float,
        text: str,
        choice: str = "first",
        image: Any = None,
        png: Any = None,
        node_id: Any = None,
    ) -> tuple[Any, ...]:
        return whole, real, text, choice, image, png, node_id


def test_numbers_of_other_libraries_become_pythons() -> None:
    whole, real, *_ = Echo().echo(np.int64(3), np.float32(0.5), "x")
    assert (type(whole), type(real)) == (int, float)


def test_an_optional_input_that_is_null_is_not_connected() -> None:
    assert Echo().echo(1, 1, "x", choice=None, image=None) == (1, 1.0, "x", "first", None, None, None)


@pytest.mark.parametrize("value", [None, 7, [], "text"])
def test_what_the_page_sends_besides_may_be_anything(value: Any) -> None:
    assert Echo().echo(1, 1, "x", png=value, node_id="\ud800")[-2:] == (None, None)
    assert Echo().echo(1, 1, "x", png={"workflow": value}, node_id="7")[-2:] == ({"workflow": value}, "7")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(1, 8, 8, 3), "a picture (IMAGE)"),
        (torch.zeros(1, 8, 8), "a mask (MASK)"),
        ({"samples": torch.zeros(1, 4, 8, 8)}, "latents (LATENT)"),
        (CHAIN, "a plan (GOT_CHAIN)"),
        ("text", "'text'"),
        (None, "nothing"),
    ],
)
def test_the_message_says_what_came_and_where_the_right_thing_is(value: Any, words: str) -> None:
    with pytest.raises(GoTError) as error:
        NODES["GoTGuider"]().guide(object(), value, 1.0, 1.0, 1.0)
    assert str(error.value) == f"'guidance' takes guidance, from SSGM Encode; it received {words}."


def test_a_nodes_own_work_is_no_reason_to_run_it_again_but_everything_else_is() -> None:
    files = {"mine": 0}
    changes = ExternalChanges(files.get)
    first = changes.count("mine")
    files["mine"] = 1
    changes.done("mine")
    assert changes.count("mine") == first
    files["mine"] = 2
    second = changes.count("mine")
    assert changes.count("mine") == second != first
    files["mine"] = 1
    assert changes.count("mine") not in (first, second)


def test_an_error_that_cannot_be_logged_leaves_as_one_that_can() -> None:
    @checked
    class Reader(Echo):
        def echo(self, **_: Any) -> Any:
            try:
                raise ValueError("the file says \ud800")
            except ValueError as error:
                raise GoTError(f"Cannot be read: {error}") from error

    with pytest.raises(GoTError) as error:
        Reader().echo()
    assert str(error.value) == r"Cannot be read: the file says \ud800"
    "".join(traceback.format_exception(error.value)).encode()


NAMED = {
    "GoTModelLoader": ("checkpoint",),
    "GoTNativeModelLoader": ("checkpoint",),
    "GoTChainFromImage": ("image",),
    "GoTTrain": ("name",),
    "GoTLoraLoader": ("adapter",),
    "GoTImportCheckpoint": ("name",),
    "GoTDataset": ("folder",),
    "GoTAnnotate": ("folder",),
    "GoTReviewDataset": ("folder",),
}
ODD = [None, 7, True, [], {}, "", "\ud800", "a\0b", "x" * 5000, "../..", "CON", "nothing of this name"]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("node", NAMED)
def test_a_name_of_any_kind_neither_breaks_nor_changes_what_comfyui_asks(node: str, value: Any) -> None:
    """Whatever ComfyUI asks about: it logs an exception here as no exception of ours may be logged."""
    (name,) = NAMED[node]
    if hasattr(NODES[node], "IS_CHANGED"):
        first, second = (NODES[node].IS_CHANGED(**{name: value}) for _ in range(2))
        assert first == second
    validates = getattr(NODES[node], "VALIDATE_INPUTS", None)
    if validates and name in inspect.signature(validates).parameters:
        answer = NODES[node].VALIDATE_INPUTS(**{name: value})
        assert answer is True or answer.encode()
        assert (answer is True) == (value is None) or node == "GoTTrain"
