"""Prior preservation: a model draws what it knows before it is trained, and is trained on that as well.

DreamBooth (arXiv 2208.12242, section 3.2) draws the class of its subject before training. Here the model
draws the dataset's prompts with known words of the same kind in place of new ones: a brown cross on a white
background must not change what a pink star on a white background looks like.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..dataset.encoding import Encoder, open_unchanged
from ..dataset.rows import DATA_FILE, Row
from ..diffusion.settings import SamplingSettings
from ..errors import GoTError
from ..files.whole_files import whole_file, write_whole
from ..mllm.settings import GenerationSettings
from .config import LoraTraining
from .observer import TrainingObserver


def known_prompts(rows: Sequence[Row], config: LoraTraining) -> list[tuple[Row, str]]:
    """Prompts of rows that contain new words, with known words in their place, each with its row.

    Raises:
        GoTError: no prompt contains a new word that is mapped to known words.
    """
    known = {
        word.strip().lower(): like.split() for word, like in config.mllm.new_words.items() if like.strip()
    }
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, known))})\b", re.IGNORECASE)
    speaking = [row for row in rows if known and pattern.search(row.chain.prompt)]
    if not speaking:
        raise GoTError(
            "preserved_rows draws prompts with known words in the place of new ones, but no prompt of the "
            "dataset has a word of mllm.new_words with known words, such as 'teal: blue green'. Add it, or "
            "set preserved_rows: 0."
        )
    rng = random.Random(f"preserved {config.seed}")
    prompts = []
    for number in range(config.preserved_rows):
        row = speaking[number % len(speaking)]
        prompt = pattern.sub(lambda match: rng.choice(known[match[0].lower()]), row.chain.prompt)
        prompts.append((row, prompt))
    return prompts


def preserve(
    encoder: Encoder,
    prompts: Sequence[tuple[Row, str]],
    steps: int,
    folder: Path,
    observer: TrainingObserver,
) -> None:
    """Let the encoder's model write a dataset to `folder`; rows that it has written before are kept.

    Args:
        prompts: the rows' prompts, each with the row that gives the picture's size and the source to edit.
        steps: the number of denoising steps.
        observer: receives after each row how many are finished, and is asked before every token and every
            denoising step whether to stop.

    Raises:
        GoTError: a source has changed, or the folder cannot be written to.
        Interrupted: the observer asked to stop; finished rows are kept.
    """
    model, file = encoder.model, folder / DATA_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    _write(folder, {}, lines)
    for number, (row, prompt) in enumerate(prompts[len(lines) :], start=len(lines)):
        source = open_unchanged(row.source) if row.source else None
        plan = model.reason(
            prompt, source, settings=GenerationSettings(temperature=0.0), should_stop=observer.should_stop
        )
        guidance = model.encode(plan, source, encoder.size(row))
        picture = model.sample(
            guidance, SamplingSettings(seed=number, steps=steps), should_stop=observer.should_stop
        )
        values = {"image": f"{number:04}.png", "prompt": prompt, "chain": plan.text}
        pictures = {values["image"]: picture}
        if source is not None:
            values["source"] = f"{number:04}-source.png"
            pictures[values["source"]] = source
        lines.append(json.dumps(values))
        _write(folder, pictures, lines)
        observer.on_preserve(len(lines), len(prompts))
    model.parts.reasoner().cache.forget()  # its weights are about to change


def _write(folder: Path, pictures: dict[str, Image.Image], lines: Sequence[str]) -> None:
    """Write a row's pictures, then the list of all rows, each atomically.

    Raises:
        GoTError: the folder cannot be written to.
    """
    for name, picture in pictures.items():
        with whole_file(folder / name) as temporary:
            picture.save(temporary, "PNG")
    write_whole(folder / DATA_FILE, "".join(f"{line}\n" for line in lines).encode())
