"""Nodes that the tests need inside ComfyUI; this file is linked into custom_nodes.

Nodes that give what no GoT node can use, and a route by which Stop is pressed at an exact moment.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from aiohttp import web
from comfy.model_management import interrupt_current_processing
from comfy.model_patcher import ModelPatcher
from server import PromptServer
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook


class StrangeModel:
    CATEGORY = "test"
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def make(self) -> tuple[ModelPatcher]:
        device = torch.device("cpu")
        return (ModelPatcher(torch.nn.Linear(1, 1), device, device),)


class EmptyBatch:
    CATEGORY = "test"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def make(self) -> tuple[torch.Tensor]:
        return (torch.zeros(0, 64, 64, 3),)


class AnyType(str):
    """A type that ComfyUI connects to every other, as in many packs."""

    def __ne__(self, other: object) -> bool:
        return False


ANY = AnyType("*")
ODD_VALUES: dict[str, Any] = {
    "None": None,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus a billion": -(10**9),
    "a billion": 10**9,
    "a number of 400 digits": 10**400,
    "a fraction": 0.5,
    "True": True,
    "text": "text",
    "half a character": "\ud800",
    "NUL": "a\0b",
    "an empty list": [],
    "a dictionary": {"samples": None},
    "an object": object(),
    "a class": dict,
    "a picture": torch.rand(1, 64, 64, 3),
    "three pictures": torch.rand(3, 64, 64, 3),
    "a picture of whole numbers": torch.full((1, 64, 64, 3), 255, dtype=torch.uint8),
    "a picture of NaN": torch.full((1, 64, 64, 3), math.nan),
    "a grey picture": torch.rand(1, 64, 64, 1),
    "a transparent picture": torch.rand(1, 64, 64, 4),
    "a picture of one pixel": torch.rand(1, 1, 1, 3),
    "a thin picture": torch.rand(1, 8, 120, 3),
    "a picture in double precision": torch.rand(1, 64, 64, 3, dtype=torch.float64),
    "a picture far too bright": torch.full((1, 64, 64, 3), 1e30),
    "a mask": torch.rand(1, 64, 64),
    "a film": torch.rand(1, 2, 64, 64, 3),
    "one number": torch.rand(()),
    "latents": {"samples": torch.rand(1, 4, 8, 8)},
    "latents of NaN": {"samples": torch.full((1, 4, 8, 8), math.nan)},
}


class OddValue:
    """Returns one of ODD_VALUES as whatever type the other node accepts."""

    CATEGORY = "test"
    RETURN_TYPES = (ANY,)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": (list(ODD_VALUES), {})}}

    def make(self, value: str) -> tuple[Any]:
        return (ODD_VALUES[value],)


class AnyToAny:
    """Passes on its input as whatever type the other node accepts."""

    CATEGORY = "test"
    RETURN_TYPES = (ANY,)
    FUNCTION = "give"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": (ANY, {})}}

    def give(self, value: Any) -> tuple[Any]:
        return (value,)


class StopButton:
    """Pressed when a module of class `kind` is evaluated for the `count`-th time; then goes on counting."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind = kind
        self.count = count
        self.evaluations = 0
        self.hook = register_module_forward_pre_hook(self.before_evaluation)

    def before_evaluation(self, module: nn.Module, inputs: object) -> None:
        if type(module).__name__ == self.kind:
            self.evaluations += 1
            if self.evaluations == self.count:
                interrupt_current_processing()


buttons: list[StopButton] = []


@PromptServer.instance.routes.post("/test/stop")
async def stop_later(request: web.Request) -> web.Response:
    """Take {"kind", "count"} for the next run."""
    buttons.append(StopButton(**await request.json()))
    return web.Response()


@PromptServer.instance.routes.get("/test/evaluations")
async def count_evaluations(request: web.Request) -> web.Response:
    """How often the module was evaluated in all; takes the button away."""
    button = buttons.pop()
    button.hook.remove()
    return web.json_response(button.evaluations)


@PromptServer.instance.routes.get("/test/version/{library}")
async def tell_version(request: web.Request) -> web.Response:
    """Of a library that has been loaded by now."""
    return web.json_response(sys.modules[request.match_info["library"]].__version__)


NODE_CLASS_MAPPINGS = {
    "StrangeModel": StrangeModel,
    "EmptyBatch": EmptyBatch,
    "OddValue": OddValue,
    "AnyToAny": AnyToAny,
}
