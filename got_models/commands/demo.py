"""``demo``: a picture from a prompt, the same plan with one box moved, and an edit of the first picture."""

from __future__ import annotations

import argparse
from functools import partial

from ..chain.chain import GRID, Box, ReasoningChain
from ..chain.layout import contact_sheet, side_by_side
from ..errors import GoTError
from ..files.whole_files import check_writable, write_files
from .drawing import draw, reason
from .options import Subparsers, add_model_options, add_out_option, load_model
from .outputs import png

PROMPT = "a red circle, a blue square and a yellow star on a white background"
INSTRUCTION = "make the blue square green"
MOVED = 0  # which region the demo moves: the first
MARGIN, STRIDE = 40, 40  # of the possible positions, on the chain grid; the margin also to other boxes


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("demo", help="generate, move a box and edit, all on one contact sheet")
    add_out_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    model = load_model(arguments)

    chain = reason(partial(model.reason, PROMPT))
    if not chain.regions:
        raise GoTError(f"The checkpoint wrote no box for {PROMPT!r}; the demo needs a trained one.")
    generated = draw(model, chain)
    moved = draw(model, chain.move_box(MOVED, free_spot(chain, MOVED)))
    following = reason(partial(model.reason, INSTRUCTION, generated.picture))
    edited = draw(model, following, generated.picture)

    drawings = {"generated": generated, "moved": moved, "edited": edited}
    titles = {"generated": PROMPT, "moved": f"moved: {chain.regions[MOVED].phrase}", "edited": INSTRUCTION}
    rows = [
        (titles[name], side_by_side(drawing.layout(), drawing.picture)) for name, drawing in drawings.items()
    ]
    files = {"contact_sheet.png": png(contact_sheet(rows))}
    for folder, drawing in drawings.items():
        files |= {f"{folder}/{name}": content for name, content in drawing.files().items()}
    write_files(arguments.out, files)

    for name, drawing in drawings.items():
        print(f"{titles[name]}\n\n{drawing.chain.text}\n\n  {arguments.out / name / 'image.png'}\n")
    print(f"all on one sheet\n\n  {arguments.out / 'contact_sheet.png'}")


def free_spot(chain: ReasoningChain, index: int) -> Box:
    """Another position for the box: clear of the other boxes, or nearly so, and as far away as possible."""
    box = chain.regions[index].box
    others = [region.box for number, region in enumerate(chain.regions) if number != index]
    width, height = box.x2 - box.x1, box.y2 - box.y1

    def fitness(spot: Box) -> tuple[float, int]:
        around = Box(spot.x1 - MARGIN, spot.y1 - MARGIN, spot.x2 + MARGIN, spot.y2 + MARGIN)
        return -sum(around.iou(other) for other in others), (spot.x1 - box.x1) ** 2 + (spot.y1 - box.y1) ** 2

    spots = [
        Box(left, top, left + width, top + height)
        for left in range(MARGIN, GRID - MARGIN - width, STRIDE)
        for top in range(MARGIN, GRID - MARGIN - height, STRIDE)
    ]
    return max(spots, key=fitness, default=box)
