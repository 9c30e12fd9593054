"""How well a checkpoint obeys: plans, pictures, moved boxes, edits, and the ablation of paper Table 3."""

from __future__ import annotations

import io
import json
import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from got_models.chain import GRID, Box, ReasoningChain
from got_models.guidance import Guidance, GuidanceScales
from got_models.layout import beside, contact_sheet, draw_layout
from got_models.model import GoTModel
from got_models.whole_files import write_files

from ..world.edits import sample_edit
from ..world.language import GAP, Example, sample_generation
from ..world.scene import HELD_OUT_PAIRS, PICTURE_SIZE, draw
from ..world.scoring import (
    FOUND_IOU,
    corners,
    expected_objects,
    find_objects,
    intersection_over_union,
    present_objects,
    relation_shown,
    score_edit,
    score_picture,
    score_plan,
)

ABLATION_PROMPTS = 200
SHEET_ROWS = 24
"""How many examples the contact sheet shows, and how many failures at most."""

Figure = dict[str, Any]
"""``value``, the ``count`` it was measured on, and the ``bar`` that it has to reach (None: there is none)."""
Figures = dict[str, Any]
"""Figures by name, possibly in groups."""
Row = tuple[str, Image.Image]
"""Title and picture of one row of a contact sheet."""


def evaluate(
    model: GoTModel,
    n: int = 500,
    ablate: bool = False,
    out: Path = Path("evaluation"),
    seed: int = 0,
    batch_size: int = 25,
) -> Figures:
    """Evaluates a checkpoint on prompts that its training never showed.

    Writes figures.json, contact_sheet.png and, when there are any, failures.png; prints the figures.

    Args:
        n: number of held-out captions; of moved boxes and edits half as many, of captions with a never-seen
            colour-shape pair a fifth (at least 50, but no more than n).
        ablate: also draw without the chain, and without spatial guidance, for the first 200 captions or so.
        out: folder for the results; made if missing.
        seed: of the prompts and of the noise.
        batch_size: prompts or pictures at a time.
    """
    rng = random.Random(seed)
    at_work = Batches(model, batch_size, seed)
    figures: Figures = {"n": n, "seed": seed, "checkpoint": str(model.path)}
    seconds: dict[str, float] = {}
    failures: list[Row] = []

    with timed("plans", seconds):
        examples = [sample_generation(rng, evaluation=True) for _ in range(n)]
        chains = at_work.reason(examples)
        figures["plans"] = plan_figures(examples, chains)
    with timed("pictures", seconds):
        guidances = at_work.encode(chains)
        pictures = at_work.sample(guidances, "pictures")
        figures["pictures"] = picture_figures(examples, chains, pictures)
        failures += failed_rows(examples, chains, pictures)
    with timed("never-seen pairs", seconds):
        unseen = [
            sample_generation(rng, pairs="unseen", evaluation=True) for _ in range(min(n, max(50, n // 5)))
        ]
        unseen_chains = at_work.reason(unseen)
        unseen_pictures = at_work.sample(at_work.encode(unseen_chains), "never-seen pairs")
        figures["never_seen_pairs"] = unseen_figures(unseen, unseen_chains, unseen_pictures)
        failures += failed_rows(unseen, unseen_chains, unseen_pictures)
    with timed("moved boxes", seconds):
        moves = [move for chain in chains[: max(1, n // 2)] if (move := sample_move(rng, chain)) is not None]
        moved_pictures = at_work.sample(at_work.encode([move.after for move in moves]), "moved boxes")
        figures["moved_boxes"] = move_figures(moves, moved_pictures)
        failures += [
            plan_row(move.after, picture, f"moved box {move.index + 1}: ")
            for move, picture in zip(moves, moved_pictures, strict=True)
            if not follows(move, picture)
        ]
    with timed("edits", seconds):
        edits = [sample_edit(rng, evaluation=True) for _ in range(max(1, n // 2))]
        sources = [draw(example.source) for example in edits if example.source is not None]
        edit_chains = at_work.reason(edits, sources)
        results = at_work.sample(at_work.encode(edit_chains, sources), "edits")
        figures["edits"] = edit_figures(edits, edit_chains, sources, results)
        for example, chain, source, result in zip(edits, edit_chains, sources, results, strict=True):
            if not score_edit(example, chain, source, result).happened:
                plan = draw_layout(chain, source, source.size)
                failures.append((f"{example.kind}: {example.prompt}", beside(source, plan, result)))
    if ablate:
        with timed("ablation", seconds):
            part = slice(
                batch_size * math.ceil(ABLATION_PROMPTS / batch_size)
            )  # whole batches: the same noise
            figures["ablation"] = ablation(
                at_work, examples[part], chains[part], guidances[part], pictures[part]
            )

    figures["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    first = zip(chains[:SHEET_ROWS], pictures[:SHEET_ROWS], strict=True)
    print(table(figures))  # first: if the disk is full, this is what is left of the work
    write_results(out, figures, [plan_row(chain, picture) for chain, picture in first], failures)
    return figures


# --- the model at work on many prompts at once ----------------------------------------------------


@dataclass(frozen=True)
class Batches:
    """A model that reasons and draws ``size`` prompts at a time.

    Two calls of ``sample`` with the same number of pictures start from the same noise.
    """

    model: GoTModel
    size: int
    seed: int

    @torch.no_grad()
    def reason(
        self, examples: Sequence[Example], pictures: Sequence[Image.Image] | None = None
    ) -> list[ReasoningChain]:
        """The chains that ``GoTModel.reason`` would write for each prompt (and picture)."""
        reasoner = self.model.reasoner
        ids = reasoner.token_ids
        stops = list(reasoner.stop_ids)
        chains: list[ReasoningChain] = []
        for numbers in self._batches(len(examples), "reasoning"):
            inputs = pad_left(
                [
                    reasoner._inputs(examples[i].task, examples[i].prompt, pictures[i] if pictures else None)
                    for i in numbers
                ],
                ids.end_of_text,
            )
            written = reasoner.mllm.generate(
                **inputs,
                max_new_tokens=reasoner.max_new_tokens,
                eos_token_id=stops,
                pad_token_id=ids.end_of_text,
            )
            for i, tokens in zip(numbers, written[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
                end = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
                text = str(reasoner.tokenizer.decode(tokens[:end], clean_up_tokenization_spaces=False))
                chains.append(ReasoningChain.read(text, examples[i].task, examples[i].prompt))
        return chains

    def encode(
        self, chains: Sequence[ReasoningChain], sources: Sequence[Image.Image] | None = None
    ) -> list[Guidance]:
        """The guidance of each chain."""
        return [
            self.model.encode(chain, sources[index] if sources else None)
            for index, chain in enumerate(tqdm(chains, desc="encoding", leave=False))
        ]

    def sample(
        self, guidances: Sequence[Guidance], name: str, scales: GuidanceScales | None = None
    ) -> list[Image.Image]:
        """A picture for each guidance; batch ``k`` starts from the noise of seed + k."""
        pictures: list[Image.Image] = []
        for number, numbers in enumerate(self._batches(len(guidances), name)):
            guidance = stack([guidances[i] for i in numbers])
            latents = self.model.sample_latents(guidance, scales, seed=self.seed + number)
            pictures += [self.model.decode(latent) for latent in latents.split(1)]
        return pictures

    def _batches(self, count: int, name: str) -> Iterator[range]:
        with tqdm(total=count, desc=name, leave=False) as bar:
            for start in range(0, count, self.size):
                numbers = range(start, min(start + self.size, count))
                yield numbers
                bar.update(len(numbers))


def pad_left(rows: Sequence[dict[str, Tensor]], padding: int) -> dict[str, Tensor]:
    """Several batches of one for the MLLM as one batch; shorter prompts are padded on the left."""
    longest = max(row["input_ids"].shape[1] for row in rows)
    batch = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name not in ("pixel_values", "image_grid_thw"):
            fill = padding if name == "input_ids" else 0
            values = [
                torch.nn.functional.pad(value, (longest - value.shape[1], 0), value=fill) for value in values
            ]
        batch[name] = torch.cat(values)
    return batch


def stack(guidances: Sequence[Guidance]) -> Guidance:
    """Guidance of one size and task, side by side along the batch axis."""
    first = guidances[0]
    tensors = ("semantic", "null_semantic", "pooled", "spatial", "reference")
    joined = {name: torch.cat([getattr(guidance, name) for guidance in guidances]) for name in tensors}
    return Guidance(**joined, size=first.size, task=first.task)


# --- figures --------------------------------------------------------------------------------------


def rate(hits: Sequence[bool], bar: float | None = None) -> Figure:
    """The share of hits; None when there was nothing to hit."""
    return {"value": sum(hits) / len(hits) if hits else None, "count": len(hits), "bar": bar}


def plan_figures(examples: Sequence[Example], chains: Sequence[ReasoningChain]) -> Figures:
    """How often the plan is what the caption asks for."""
    scores = [score_plan(chain, example.request) for example, chain in zip(examples, chains, strict=True)]
    related = [
        score.relation_right
        for example, score in zip(examples, scores, strict=True)
        if example.request.relation is not None
    ]
    return {
        "valid": rate([score.valid for score in scores], bar=0.98),
        "objects_right": rate([score.objects_right for score in scores]),
        "relation_right": rate(related),
        "boxes_apart": rate([score.apart for score in scores]),
        "without_warnings": rate([not chain.warnings for chain in chains]),
    }


def picture_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """How often the objects of a plan are found in its picture."""
    scores = [
        score_picture(picture, expected_objects(chain))
        for chain, picture in zip(chains, pictures, strict=True)
    ]
    objects = [result for score in scores for result in score.objects]
    backgrounds = [
        score.background == example.request.background
        for example, score in zip(examples, scores, strict=True)
        if example.request.background is not None
    ]
    return {
        "found": rate([result.found for result in objects], bar=0.95),
        "shape_right": rate([result.shape_right for result in objects], bar=0.90),
        "nothing_extra": rate([not score.extra for score in scores]),
        "background_right": rate(backgrounds),
    }


def unseen_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """The same for objects of a pair that training never shows; one that the plan leaves out is a miss."""
    found, shape_right, planned = [], [], []
    for example, chain, picture in zip(examples, chains, pictures, strict=True):
        expected = expected_objects(chain)
        asked = sum((item.color, item.shape) in HELD_OUT_PAIRS for item in example.request.objects)
        results = [
            result
            for (color, shape, _), result in zip(
                expected, score_picture(picture, expected).objects, strict=True
            )
            if (color, shape) in HELD_OUT_PAIRS
        ]
        missing = [False] * (asked - len(results))
        found += [result.found for result in results] + missing
        shape_right += [result.shape_right for result in results] + missing
        planned.append(score_plan(chain, example.request).valid)
    return {
        "found": rate(found, bar=0.90),
        "shape_right": rate(shape_right),
        "plan_valid": rate(planned),
    }


@dataclass(frozen=True)
class Move:
    """A plan before and after a person moved the box of region ``index``."""

    before: ReasoningChain
    after: ReasoningChain
    index: int


def sample_move(rng: random.Random, chain: ReasoningChain) -> Move | None:
    """Moves a random box to a random free place; None where there is no free place.

    Free: clear of all other boxes, and hardly overlapping the old place.
    """
    gap = math.ceil(GAP * GRID / PICTURE_SIZE)
    for index in rng.sample(range(len(chain.regions)), len(chain.regions)):
        old = chain.regions[index].box
        width, height = old.x2 - old.x1, old.y2 - old.y1
        others = [region.box for other, region in enumerate(chain.regions) if other != index]
        if max(width, height) > GRID - 2 * gap:
            continue
        for _ in range(100):
            left, top = rng.randint(gap, GRID - gap - width), rng.randint(gap, GRID - gap - height)
            new = Box(left, top, left + width, top + height)
            grown = (left - gap, top - gap, left + width + gap, top + height + gap)
            clear = all(intersection_over_union(grown, corners(other)) == 0 for other in others)
            if clear and new.iou(old) < 0.2:
                return Move(chain, chain.move_box(index, new), index)
    return None


def follows(move: Move, picture: Image.Image) -> bool:
    """Whether the object is found at its new box and no longer at the old one."""
    expected = expected_objects(move.after)
    place = move.before.regions[move.index].box.to_pixels(picture.width, picture.height)
    stayed = any(
        patch.color == expected[move.index][0] and intersection_over_union(patch.box, place) >= FOUND_IOU
        for patch in find_objects(picture)
    )
    return score_picture(picture, expected).objects[move.index].found and not stayed


def move_figures(moves: Sequence[Move], pictures: Sequence[Image.Image]) -> Figures:
    """How often an object follows its box, and how often the others keep to theirs."""
    others = [
        result.found
        for move, picture in zip(moves, pictures, strict=True)
        for index, result in enumerate(score_picture(picture, expected_objects(move.after)).objects)
        if index != move.index
    ]
    follow = [follows(move, picture) for move, picture in zip(moves, pictures, strict=True)]
    return {"follows": rate(follow, bar=0.95), "others_in_place": rate(others)}


def edit_figures(
    examples: Sequence[Example],
    chains: Sequence[ReasoningChain],
    sources: Sequence[Image.Image],
    results: Sequence[Image.Image],
) -> Figures:
    """How often the edit happened and how little changed elsewhere, in all and by kind of edit.

    The results are what the model itself has drawn: the source is not put back outside the boxes.
    """
    rows = zip(examples, chains, sources, results, strict=True)
    scores = [(row[0].kind, score_edit(*row)) for row in rows]

    def figures_of(chosen: Sequence[Any], bars: tuple[float | None, float | None]) -> Figures:
        psnr = statistics.median(score.psnr for score in chosen)
        return {
            "happened": rate([score.happened for score in chosen], bars[0]),
            "median_psnr_outside": {"value": psnr, "count": len(chosen), "bar": bars[1]},
        }

    figures = figures_of([score for _, score in scores], (0.90, 25.0))
    for kind in sorted({kind for kind, _ in scores}):
        figures[kind] = figures_of([score for other, score in scores if other == kind], (None, None))
    return figures


def ablation(
    at_work: Batches,
    examples: Sequence[Example],
    chains: Sequence[ReasoningChain],
    guidances: Sequence[Guidance],
    full: Sequence[Image.Image],
) -> Figures:
    """The rows of paper Table 3 on the same prompts and noise: no chain, no spatial guidance, full.

    "No chain" reads the prompt and an empty chain. ``full`` are the pictures drawn with everything from
    ``guidances``.
    """
    scales = at_work.model.default_scales("generate")
    flat = GuidanceScales(scales.semantic, 0.0, scales.reference)
    empty = [ReasoningChain.read("", chain.task, chain.prompt) for chain in chains]
    no_chain = at_work.sample(at_work.encode(empty), "without the chain", flat)
    no_spatial = at_work.sample(guidances, "without spatial guidance", flat)
    drawn = {"no_chain": no_chain, "no_spatial_guidance": no_spatial, "full": full}
    return {name: position_figures(examples, chains, pictures) for name, pictures in drawn.items()}


def position_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """Objects at the plan's boxes, relations that the picture shows, and objects that are there at all."""
    rows = list(zip(examples, chains, pictures, strict=True))
    found = [
        result.found
        for _, chain, picture in rows
        for result in score_picture(picture, expected_objects(chain)).objects
    ]
    related = [
        relation_shown(picture, example.request)
        for example, _, picture in rows
        if example.request.relation is not None
    ]
    asked = sum(len(example.request.objects) for example in examples)
    present = sum(present_objects(picture, example.request.objects) for example, _, picture in rows)
    return {
        "position": rate(found),
        "relation": rate(related),
        "present": {"value": present / asked, "count": asked, "bar": None},
    }


# --- results --------------------------------------------------------------------------------------


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Notes the wall-clock seconds of a block."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def table(figures: Figures, indent: str = "") -> str:
    """All figures as lines of text; the rows of the ablation stand side by side."""
    lines = []
    for name, value in figures.items():
        label = f"{indent}{name.replace('_', ' ')}"
        if isinstance(value, dict) and "full" in value:
            columns = list(value["full"])
            lines.append(f"{label:32}" + "".join(f"{column:>10}" for column in columns))
            for variant, row in value.items():
                cells = "".join(f"{shown(row[column]['value']):>10}" for column in columns)
                lines.append(f"{'  ' + variant.replace('_', ' '):32}{cells}")
        elif isinstance(value, dict) and "bar" in value:
            lines.append(f"{label:32}{shown(value['value']):>10}  of {value['count']}{verdict(value)}")
        elif isinstance(value, dict):
            lines += [label, table(value, indent + "  ")]
        else:
            lines.append(f"{label:32}{value!s:>10}")
    return "\n".join(lines)


def shown(value: float | None) -> str:
    """A figure with three decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def verdict(figure: Figure) -> str:
    """Whether a figure reaches its bar, in words; empty when it has no bar."""
    if figure["bar"] is None:
        return ""
    reached = figure["value"] is not None and figure["value"] >= figure["bar"]
    return f", bar {figure['bar']:g}: {'reached' if reached else 'MISSED'}"


def write_results(out: Path, figures: Figures, rows: Sequence[Row], failures: Sequence[Row]) -> None:
    """Writes figures.json and the contact sheets."""
    files = {"figures.json": (json.dumps(figures, indent=2) + "\n").encode()}
    for name, sheet in (("contact_sheet.png", rows), ("failures.png", spread(failures))):
        if sheet:
            picture = io.BytesIO()
            contact_sheet(sheet).save(picture, "PNG")
            files[name] = picture.getvalue()
    write_files(out, files)
    if not failures:
        (out / "failures.png").unlink(missing_ok=True)


def plan_row(chain: ReasoningChain, picture: Image.Image, before_title: str = "") -> Row:
    """The plan beside its picture."""
    return (before_title + chain.prompt, beside(draw_layout(chain, None, picture.size), picture))


def failed_rows(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> list[Row]:
    """The plans that do not answer their caption, and the pictures that do not show their plan."""
    return [
        plan_row(chain, picture)
        for example, chain, picture in zip(examples, chains, pictures, strict=True)
        if not (
            score_plan(chain, example.request).valid
            and score_picture(picture, expected_objects(chain)).all_right
        )
    ]


def spread(rows: Sequence[Row]) -> list[Row]:
    """At most ``SHEET_ROWS`` rows, taken evenly from all, so that every sort of failure is shown."""
    step = max(1, math.ceil(len(rows) / SHEET_ROWS))
    return list(rows[::step])
