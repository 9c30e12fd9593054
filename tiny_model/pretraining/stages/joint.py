"""The paper's joint objective, end to end through the semantic guidance."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from got_models.mllm.reasoner import select_image_tokens

from ..config import TrainingConfig
from ..optimizers import Learning
from ..rows import LATER, encoded
from .drawing import DrawingStage, JointModules
from .language import answers_losses, fresh_rows, mean


class JointStage(DrawingStage):
    """The paper's joint objective: the diffusion loss flows through the semantic guidance into the MLLM."""

    name = "joint"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config, config.joint)
        joint, unet, language = config.joint, self.module.unet, self.module.language
        self.learning = [
            Learning.of([unet], joint.learning_rate, [unet], joint.matrix_learning_rate),
            Learning.of(
                [language], joint.mllm_learning_rate, [language.mllm.model], joint.mllm_matrix_learning_rate
            ),
        ]
        self.averaged = list(self.module.parameters())

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        """The answers' losses on new rows; those of the regions' readout and of the noise on encoded rows."""
        config, ids = self.config, self.collate.token_ids
        fresh = fresh_rows(config.seed, LATER + step, config.joint.answers, self.collate.vision_size)
        losses = answers_losses(module.language, self.collate, fresh, config)
        regions, hidden, latents = [], [], []
        for task, rows in self.rows_of_step(step).items():
            batch = self.collate([encoded(task, config.seed, row) for row in rows], with_image_tokens=True)
            batch = batch.to(module.language.mllm.device)
            states = module.language.hidden_states(batch)[-1]
            hidden.append(select_image_tokens(states, batch.input_ids, ids.image_tokens))
            regions.append(module.language.region_loss(hidden[-1], batch))
            latents.append(self.encoded(task, rows))
        return {
            **losses,
            "regions": config.readout_weight * mean(regions),
            "diffusion": self.diffusion(module, hidden, latents, step),
        }
