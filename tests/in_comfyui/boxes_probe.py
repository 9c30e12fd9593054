"""Run by ComfyUI's own Python: passes boxes between the pack's nodes and ComfyUI's; records the results.

    python boxes_probe.py COMFYUI FACTS.json

No server is started: the node classes are called as ComfyUI's executor would call them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

COMFYUI, FACTS = map(Path, sys.argv[1:3])
ROOT = Path(__file__).parents[2]
sys.path[0] = str(COMFYUI)
sys.argv = [str(COMFYUI / "main.py")]

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True

import comfy.model_management  # noqa: E402
import torch  # noqa: E402
from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes  # noqa: E402
from comfy_extras.nodes_json_prompt import BuildJsonPromptIdeogram  # noqa: E402
from comfy_extras.nodes_rtdetr import COCO_CLASSES, DrawBBoxes, RTDETR_detect  # noqa: E402
from comfy_extras.nodes_sam3 import SAM3_Detect  # noqa: E402

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


def found(boxes: list[list[float]], scores: list[float]) -> dict[str, torch.Tensor]:
    return {"boxes": torch.tensor(boxes).view(-1, 4), "scores": torch.tensor(scores)}


def model(network: Any) -> Any:
    """A MODEL whose network is a stub; the node's own code does the rest."""
    return SimpleNamespace(
        model=SimpleNamespace(diffusion_model=network, get_dtype=lambda: torch.float32), network=network
    )


def detected(read: Any) -> dict[str, Any]:
    """What SAM3 Detect and RT-DETR hand on, as chains: something on the left, something on the right."""
    left, right, faint = [100.0, 50.0, 400.0, 250.0], [600.0, 0.0, 1000.0, 500.0], [0.0, 0.0, 9.0, 9.0]
    pictures = torch.zeros(2, SIZE[1], SIZE[0], 3)
    size = {"width": SIZE[0], "height": SIZE[1]}

    def rtdetr(batch: torch.Tensor, size: tuple[int, int]) -> list[dict[str, torch.Tensor]]:
        labels = torch.tensor([COCO_CLASSES.index(name) for name in ("dog", "potted plant", "person")])
        return [{**found([right, left, faint], [0.7, 0.9, 0.1]), "labels": labels}] * len(batch)

    def sam3(frame: torch.Tensor, *, text_embeddings: torch.Tensor, **given: Any) -> dict[str, Any]:
        box = left if float(text_embeddings.sum()) else right
        result = found([box, faint], [4.0, -4.0])
        return {key: [value] for key, value in {**result, "masks": torch.ones(2, 8, 8)}.items()}

    prompts = [{"cond": torch.full((1, 1, 1), value), "attention_mask": None} for value in (1.0, 0.0)]
    words = [[torch.ones(1, 1, 1), {"sam3_multi_cond": prompts}]]
    with mock.patch.object(comfy.model_management, "load_model_gpu", lambda model: None):
        many = RTDETR_detect.execute(model(rtdetr), pictures, 0.5, "all", 100).result[0]
        none = RTDETR_detect.execute(model(rtdetr), pictures, 0.95, "all", 100).result[0]
        _, bare = SAM3_Detect.execute(model(sam3), pictures[:1], words, refine_iterations=0).result
    empty = "no error"
    try:
        read(none, "generate", "", **size)
    except ValueError as error:
        empty = str(error)
    chain = read(many, "generate", "", **size)["result"][0]
    return {
        "rtdetr": said(chain),
        "rtdetr notes": list(chain.warnings),
        "sam3": said(read(bare, "generate", "", "a fox\na tree", **size)["result"][0]),
        "sam3 without words": said(read(bare, "generate", "", **size)["result"][0]),
        "nothing found": empty,
    }


def main() -> None:
    nodes = the_pack().NODE_CLASS_MAPPINGS
    chain = nodes["GoTChainFromText"]().parse("generate", "two shapes", TEXT)["result"][0]
    _, boxes, *_ = nodes["GoTChainToMasks"]().convert(chain, *SIZE)["result"]
    written = nodes["GoTChainToJSON"]().write(chain, "ideogram", *SIZE)["result"]
    caption, _, elements, background, single, *_ = written
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
        "detected": detected(read),
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
