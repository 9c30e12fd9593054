"""The adapter to ComfyUI: folders, memory, and what its users see. Without ComfyUI all of it works too."""

from __future__ import annotations

import sys


def inside_comfyui() -> bool:
    """Whether this process is a ComfyUI server: that has these loaded before any node pack."""
    return "comfy.model_management" in sys.modules and "server" in sys.modules
