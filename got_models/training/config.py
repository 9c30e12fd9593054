"""What a training run does, with units in the names."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VaeSettings:
    """The VAE on collages and whole pictures, one a step."""

    steps: int = 1500
    learning_rate: float = 1e-4
    warmup_steps: int = 40
    latent_noise: float = 0.03
    ema_decay: float = 0.99


@dataclass(frozen=True)
class LanguageSettings:
    """The MLLM writes chains and its image tokens learn to hold the regions' contents."""

    steps: int = 4000
    learning_rate: float = 1.5e-3
    warmup_steps: int = 60
    generations_per_batch: int = 12
    edits_per_batch: int = 8


@dataclass(frozen=True)
class JointSettings:
    """The paper's joint objective, end to end through the semantic guidance."""

    steps: int = 4000
    learning_rate: float = 1e-3
    mllm_learning_rate_share: float = 0.5
    warmup_steps: int = 100
    generations_per_batch: int = 4
    edits_per_batch: int = 3
    timesteps_per_picture: int = 5
    rows: int = 1000
    noise_offset: float = 0.1
    dropout: float = 0.05
    largest_noise_weight: float = 5.0
    ema_decay: float = 0.998


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run. Adam's settings and the loss weights are the paper's."""

    seed: int = 0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    adam_epsilon: float = 1e-6
    weight_decay: float = 0.05
    gradient_clip_norm: float = 1.0
    chain_weight: float = 1.0
    diffusion_weight: float = 1.0
    readout_weight: float = 0.5
    save_every_steps: int = 250
    vae: VaeSettings = field(default_factory=VaeSettings)
    language: LanguageSettings = field(default_factory=LanguageSettings)
    joint: JointSettings = field(default_factory=JointSettings)


PRESETS = {"shapes": TrainingConfig()}
