"""What the tests need inside ComfyUI; they link this file into custom_nodes.

Nodes that give what no GoT node can use, and a route by which Stop is pressed at an exact moment.
"""

from __future__ import annotations

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


NODE_CLASS_MAPPINGS = {"StrangeModel": StrangeModel, "EmptyBatch": EmptyBatch}
