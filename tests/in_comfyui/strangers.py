"""Nodes for ComfyUI that give what no GoT node can use. The tests link this file into custom_nodes."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher


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


NODE_CLASS_MAPPINGS = {"StrangeModel": StrangeModel, "EmptyBatch": EmptyBatch}
