"""The paper's joint objective, end to end through the semantic guidance."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from got_models.mllm.reasoner import select_image_tokens

from ..config import TrainingConfig
from ..data import Example, confusable_edit_example, generation_example
from .drawing import DrawingStage, JointModules
from .language import chains_losses, mean
from .rows import LATER, drawn_example


class JointStage(DrawingStage):
    """The paper's joint objective: the diffusion loss flows through the semantic guidance into the MLLM."""

    name = "joint"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config, config.joint)
        self.parameter_groups = [
            (list(self.module.unet.parameters()), config.joint.learning_rate),
            (list(self.module.language.parameters()), config.joint.mllm_learning_rate),
        ]
        self.averaged = list(self.module.parameters())

    def fresh_rows(self, step: int) -> list[list[Example]]:
        """Generations and edits that no earlier step has seen; the edits' sources hold similar things."""
        seed, joint = self.config.seed, self.config.joint
        generations, edits = joint.chain_generations_per_batch, joint.chain_edits_per_batch
        return [
            [generation_example(seed, LATER + step * generations + row) for row in range(generations)],
            [confusable_edit_example(seed, step * edits + row) for row in range(edits)],
        ]

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        """The chains' losses on new rows; the readout's and the diffusion loss on encoded rows."""
        config, ids = self.config, self.collate.token_ids
        chain, lookup = chains_losses(module.language, self.collate, self.fresh_rows(step))
        readout, hidden, latents = [], [], []
        for task, rows in self.rows_of_step(step).items():
            batch = self.collate([drawn_example(task, config.seed, row) for row in rows])
            batch = batch.to(module.language.mllm.device)
            states = module.language.hidden_states(batch)
            hidden.append(select_image_tokens(states[-1], batch.input_ids, ids.image_tokens))
            readout.append(module.language.readout_loss(states, hidden[-1], batch, ids))
            latents.append(self.encoded(task, rows))
        return {
            "chain": config.chain_weight * chain,
            "lookup": config.lookup_weight * lookup,
            "readout": config.readout_weight * mean(readout),
            "diffusion": self.diffusion(module, hidden, latents, step),
        }
