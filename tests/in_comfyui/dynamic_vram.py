"""Dynamic VRAM on the CPU: ComfyUI loads models as it does on an NVIDIA card with torch 2.8 or newer.

There its layers have no weights before a state dict is loaded, and then keep the file's own. What this
cannot show is the moving of weights between card and memory.
"""

from __future__ import annotations

from typing import Any


def simulate() -> None:
    """Enable the simulation, before anything is loaded."""
    import comfy.memory_management
    import comfy.model_patcher
    import comfy.utils

    comfy.memory_management.aimdo_enabled = True
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
    comfy.utils.load_safetensors = load_safetensors


def load_safetensors(file: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Replaces ComfyUI's own, which maps files with a CUDA library."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
