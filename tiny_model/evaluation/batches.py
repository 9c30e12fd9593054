"""Batched planning and drawing for many prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from got_models.chain.chain import ReasoningChain
from got_models.diffusion.guidance import Guidance
from got_models.diffusion.settings import SAMPLING_DEFAULTS, GuidanceScales, SamplingSettings
from got_models.mllm.kv_cache import Context
from got_models.pipeline import GoTModel

from ..world.language import Example

# --- batched generation ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Batches:
    """A model that reasons and draws for ``size`` prompts at a time.

    ``sampling``: steps and scheduler. Two calls of ``sample`` with the same number of pictures use the same
    initial noise.
    """

    model: GoTModel
    size: int
    seed: int
    sampling: SamplingSettings = SAMPLING_DEFAULTS

    def reason(
        self, examples: Sequence[Example], pictures: Sequence[Image.Image] | None = None
    ) -> list[ReasoningChain]:
        """The chains that ``GoTModel.reason`` would generate for each prompt (and picture)."""
        reasoner = self.model.parts.reasoner()
        written = self._written(
            [
                reasoner.context(example.task, example.prompt, pictures[row] if pictures else None)
                for row, example in enumerate(examples)
            ],
            "reasoning",
        )
        return [
            ReasoningChain.read(text, example.task, example.prompt)
            for text, example in zip(written, examples, strict=True)
        ]

    def answer(self, questions: Sequence[str], pictures: Sequence[Image.Image]) -> list[str]:
        """The answers that ``Reasoner.answer`` would give to a question about each picture."""
        reasoner = self.model.parts.reasoner()
        contexts = [reasoner.question(*asked) for asked in zip(questions, pictures, strict=True)]
        return self._written(contexts, "answering")

    @torch.no_grad()
    def _written(self, contexts: Sequence[Context], name: str) -> list[str]:
        """What the MLLM writes next in each of these conversations."""
        reasoner = self.model.parts.reasoner()
        padding, stops = reasoner.token_ids.end_of_text, list(reasoner.stop_ids)
        texts: list[str] = []
        for numbers in self._batches(len(contexts), name):
            inputs = pad_left([reasoner.inputs(contexts[i]) for i in numbers], padding)
            written = reasoner.mllm.generate(
                **inputs,
                max_new_tokens=reasoner.max_new_tokens,
                eos_token_id=stops,
                pad_token_id=padding,
            )
            for tokens in written[:, inputs["input_ids"].shape[1] :].tolist():
                end = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
                text = reasoner.tokenizer.decode(tokens[:end], clean_up_tokenization_spaces=False)
                texts.append(str(text))
        return texts

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
        """A picture for each guidance; batch ``k`` uses the noise of seed + k."""
        pictures: list[Image.Image] = []
        for number, numbers in enumerate(self._batches(len(guidances), name)):
            guidance = stack([guidances[i] for i in numbers])
            latents = self.model.sample_latents(
                guidance, replace(self.sampling, scales=scales, seed=self.seed + number)
            )
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
    """Guidance of one size and task, concatenated along the batch axis."""
    first = guidances[0]
    tensors = ("semantic", "null_semantic", "pooled", "spatial", "reference")
    joined = {name: torch.cat([getattr(guidance, name) for guidance in guidances]) for name in tensors}
    return Guidance(**joined, size=first.size, task=first.task)
