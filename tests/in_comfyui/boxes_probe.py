"""Run by ComfyUI's own Python: passes boxes between the pack's nodes and ComfyUI's; records the results.

    python boxes_probe.py COMFYUI FACTS.json

No server is started: the node classes are called as ComfyUI's executor would call them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

COMFYUI, FACTS = map(Path, sys.argv[1:3])
ROOT = Path(__file__).parents[2]
sys.path[0] = str(COMFYUI)
sys.argv = [str(COMFYUI / "main.py")]

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True

from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes  # noqa: E402
from comfy_extras.nodes_json_prompt import BuildJsonPromptIdeogram  # noqa: E402
from comfy_extras.nodes_rtdetr import DrawBBoxes  # noqa: E402

SIZE = (1000, 500)
TEXT = (
    "On a white background there is a red circle (100,200),(400,500) and a blue square (600,600),(900,900)."
)


def the_pack() -> Any:
    spec = importlib.util.spec_from_file_location(
        "got_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec and spec.loader
    sys.modules["got_pack"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(chain: Any) -> list[Any]:
    return [[region.phrase, *vars(region.box).values()] for region in chain.regions]


def main() -> None:
    nodes = the_pack().NODE_CLASS_MAPPINGS
    chain = nodes["GoTChainFromText"]().parse("generate", "two shapes", TEXT)["result"][0]
    _, boxes, _, _ = nodes["GoTChainToMasks"]().convert(chain, *SIZE)
    caption, _, elements, background, single, _ = nodes["GoTChainToJSON"]().write(chain, "ideogram", *SIZE)
    created = {
        "boxes": CreateBoundingBoxes.execute(*SIZE, bboxes=boxes),
        "elements": CreateBoundingBoxes.execute(*SIZE, bboxes=elements),
        "text": CreateBoundingBoxes.execute(*SIZE, bboxes=json.dumps(elements)),
        "first": CreateBoundingBoxes.execute(*SIZE, bboxes=single[0]),
    }
    prompt = BuildJsonPromptIdeogram.execute(elements, {"style": "none"}, "two shapes", background).result[0]
    drawn = DrawBBoxes.execute(boxes).result[0][0].sum(-1).nonzero()
    read = nodes["GoTChainFromBoxes"]().read
    facts = {
        "elements": {name: output.result[2] for name, output in created.items()},
        "caption is the core's": json.loads(caption) == prompt,
        "background": background,
        "drawn": [drawn.min(0).values.tolist(), drawn.max(0).values.tolist()],
        "back": {
            "caption": said(read(prompt, "generate", "")["result"][0]),
            "elements": said(read(created["boxes"].result[2], "generate", "")["result"][0]),
            "boxes": said(
                read(created["boxes"].result[1], "generate", "", "one\ntwo", width=SIZE[0], height=SIZE[1])[
                    "result"
                ][0]
            ),
        },
    }
    FACTS.write_text(json.dumps(facts), encoding="utf-8")


main()
