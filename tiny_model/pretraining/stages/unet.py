"""The UNet and the projectors, conditioned on the image tokens of a frozen MLLM."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from got_models.mllm.reasoner import select_image_tokens

from ..config import TrainingConfig
from ..optimizers import Learning
from ..rows import encoded
from .drawing import DrawingStage, JointModules
from .language import READ_AT_ONCE


class UnetStage(DrawingStage):
    """The UNet and the projectors learn to draw from the image tokens of the MLLM, which is frozen."""

    name = "unet"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config, config.unet)
        self.module.language.requires_grad_(False)
        self.module.language.ssgm.requires_grad_(True)
        self.averaged = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        rates = self.settings.learning_rate, self.settings.matrix_learning_rate
        self.learning = [Learning.of([self.module], rates[0], [self.module.unet], rates[1])]
        self.image_tokens = {task: self.read(task) for task in ("generate", "edit")}

    @torch.no_grad()
    def read(self, task: str) -> Tensor:
        """The MLLM's hidden states [rows, 64, hidden] at the image tokens of every encoded row.

        They never change in this stage, and every row is drawn many times.
        """
        language, read = self.module.language, []
        rows = range(self.config.encoded_rows)
        half_precision = self.name in self.config.half_precision_stages
        for start in tqdm(range(0, len(rows), READ_AT_ONCE), desc=f"reading, {task}", mininterval=5):
            examples = [encoded(task, self.config.seed, row) for row in rows[start : start + READ_AT_ONCE]]
            batch = self.collate(examples, with_image_tokens=True).to(language.mllm.device)
            with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=half_precision):
                states = language.hidden_states(batch)[-1]
            read.append(select_image_tokens(states, batch.input_ids, self.collate.token_ids.image_tokens))
        return torch.cat(read)

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        hidden, latents = [], []
        for task, rows in self.rows_of_step(step).items():
            hidden.append(self.image_tokens[task][rows].to(module.unet.device))
            latents.append(self.encoded(task, rows))
        return {"diffusion": self.diffusion(module, hidden, latents, step)}
