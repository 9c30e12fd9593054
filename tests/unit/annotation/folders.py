"""Folders of drawn pictures and pairs, and what an annotation has made of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from got_models.annotation.items import items
from got_models.annotation.output import REVIEW_FILE
from got_models.dataset.rows import DATA_FILE
from tiny_model.world.edits import sample_edit
from tiny_model.world.layouts import sample_source
from tiny_model.world.scene import draw


def write_folder(folder: Path, pictures: int, pairs: int = 0, seed: int = 0, side: int = 256) -> Path:
    """Numbered pictures in `drawn/`, and pairs of one recoloured or removed thing; each knows no plan."""
    rng = random.Random(seed)
    (folder / "drawn").mkdir(parents=True)
    for number in range(pictures):
        draw(sample_source(rng, "anywhere"), side).save(folder / "drawn" / f"{number:03}.png")
    lines = []
    for number in range(pairs):
        example = sample_edit(rng, rng.choice(("recolor", "remove")))
        if example.source is None:
            raise ValueError("expected an edit with a source")
        draw(example.source, side).save(folder / f"before-{number:03}.png")
        draw(example.target, side).save(folder / f"after-{number:03}.png")
        row = {"image": f"after-{number:03}.png", "source": f"before-{number:03}.png"}
        lines.append(row | ({"prompt": example.prompt} if number % 2 else {}))
    if lines:
        (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, which must be whole lines."""
    if not file.exists():
        return []
    content = file.read_text(encoding="utf-8")
    assert content == "" or content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()]


def is_complete(folder: Path) -> bool:
    """Whether every picture and pair is there just once, with all its wordings."""
    found = Counter((row["image"], row.get("source")) for row in rows(folder / DATA_FILE))
    found.update((row["image"], row.get("source")) for row in rows(folder / REVIEW_FILE))
    wordings = {(row["image"], row.get("source")): 1 for row in rows(folder / REVIEW_FILE)}
    expected = {(item.image, item.source): 4 if item.source else 1 for item in items(folder)}
    return dict(found) == expected | wordings
