"""The adapter to ComfyUI: folders, memory, and feedback to the user. All of it also works without ComfyUI."""

from __future__ import annotations

import sys


def inside_comfyui() -> bool:
    """Whether this process is a ComfyUI server, which has loaded these modules before any node pack."""
    return "comfy.model_management" in sys.modules and "server" in sys.modules
