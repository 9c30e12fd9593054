"""Imported first by scripts that ComfyUI's own Python runs: ComfyUI on the CPU, and the pack as `pack`.

sys.argv[1] is ComfyUI's folder.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

COMFYUI, ARGUMENTS = Path(sys.argv[1]), sys.argv[2:]
ROOT = Path(__file__).parents[2]
sys.path[0] = str(COMFYUI)  # and not this folder
sys.path += [str(Path(__file__).parent), str(ROOT)]
sys.argv = [str(COMFYUI / "main.py")]

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True
comfy.cli_args.args.use_pytorch_cross_attention = True
importlib.import_module("utils.install_util")  # before nodes.py hides this folder behind comfy/utils.py
importlib.import_module("server")  # by this the pack sees that it is in ComfyUI

pack = types.ModuleType("pack")
pack.__path__ = [str(ROOT)]
sys.modules["pack"] = pack
