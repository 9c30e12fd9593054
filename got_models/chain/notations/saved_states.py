"""The saved states of two layout editors for ComfyUI: fractions of the picture, as x, y, w, h.

KJNodes (kijai/ComfyUI-KJNodes, nodes/ideogram4_nodes.py) keeps a list in `elements_data`; Deno's Ideogram
Director (Deno2026/comfyui-deno-custom-nodes, deno_ideogram_director.py) an object with `boxes` and
`stylePalette` in `caption_data`. A box with `nobbox` has no place: what stands there is only where the editor
shows it.
"""

from __future__ import annotations

from .coordinates import FRACTIONS, WIDTH_HEIGHT, Reading

SAVED_STATE = Reading(WIDTH_HEIGHT, FRACTIONS)
