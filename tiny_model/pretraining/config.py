"""The config of a training run, with units in its names."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VaeSettings:
    """The VAE on collages and whole pictures, one per step."""

    steps: int = 8000
    learning_rate: float = 1.5e-4
    warmup_steps: int = 200
    latent_noise: float = 0.03
    ema_decay: float = 0.998


@dataclass(frozen=True)
class VisionSettings:
    """The MLLM's vision tower alone, before the language stage."""

    steps: int = 2500
    learning_rate: float = 1.5e-3
    matrix_learning_rate: float = 0.02
    warmup_steps: int = 60
    pictures_per_batch: int = 16


@dataclass(frozen=True)
class AnswerCounts:
    """How many rows of each kind the MLLM learns to answer in a step."""

    generations: int = 8
    reversed_relations: int = 1
    edits: int = 10
    questions: int = 8


@dataclass(frozen=True)
class AnswerWeights:
    """What counts how much in the loss of an answer; everything else counts 1.

    Attributes:
        names: the words that name an object and its size, in answers about a picture.
        digits: the digits of a box around a thing in the picture, which are learned last.
        plans: names in the plan of a new picture, and the words that relate its objects. Most of such a plan
            is either soon memorized or, like its boxes, random.
        steps: how much more counts what a step of an edit takes from its instruction: what to do, the new
            colour or shape, the corner; and the weight of its lookups, relative to those of boxes and names.
    """

    names: float = 4.0
    digits: float = 4.0
    plans: float = 4.0
    steps: float = 3.0


@dataclass(frozen=True)
class LanguageSettings:
    """The MLLM learns to write chains and to answer questions, and its image tokens to hold the regions."""

    steps: int = 5000
    learning_rate: float = 1.5e-3
    matrix_learning_rate: float = 0.02
    warmup_steps: int = 60
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    drawn_generations: int = 5
    drawn_edits: int = 5


@dataclass(frozen=True)
class NoiseSettings:
    """The diffusion loss; offset and dropout (per branch) are the paper's."""

    offset: float = 0.1
    dropout: float = 0.05
    largest_weight: float = 5.0


@dataclass(frozen=True)
class UnetSettings:
    """The UNet and the projectors, conditioned on the image tokens of a frozen MLLM."""

    steps: int = 5000
    learning_rate: float = 1e-3
    matrix_learning_rate: float = 0.01
    warmup_steps: int = 60
    generations_per_batch: int = 5
    edits_per_batch: int = 7
    timesteps_per_picture: int = 3
    ema_decay: float = 0.995


@dataclass(frozen=True)
class JointSettings:
    """The paper's joint objective, end to end through the semantic guidance.

    More chains than pictures: by now the UNet follows its boxes, and the remaining errors are in plans: the
    wrong side in "to the right of a star there is a circle", and in edits a corner that was not asked for, or
    what another step does.
    """

    steps: int = 3000
    learning_rate: float = 2e-4
    matrix_learning_rate: float = 2e-3
    mllm_learning_rate: float = 4e-4
    mllm_matrix_learning_rate: float = 4e-3
    warmup_steps: int = 60
    answers: AnswerCounts = AnswerCounts(generations=8, reversed_relations=2, edits=7, questions=10)
    generations_per_batch: int = 1
    edits_per_batch: int = 3
    timesteps_per_picture: int = 3
    ema_decay: float = 0.998


@dataclass(frozen=True)
class TrainingConfig:
    """A run. ``matrix_learning_rate`` is Muon's; Adam's settings and loss weights are the paper's."""

    seed: int = 0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    adam_epsilon: float = 1e-6
    weight_decay: float = 0.05
    gradient_clip_norm: float = 1.0
    chain_weight: float = 1.0
    diffusion_weight: float = 1.0
    lookup_weight: float = 0.5
    readout_weight: float = 0.5
    half_precision_stages: tuple[str, ...] = ("vision", "language", "unet", "joint")
    encoded_rows: int = 3500
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    save_every_steps: int = 250
    weights: AnswerWeights = field(default_factory=AnswerWeights)
    vae: VaeSettings = field(default_factory=VaeSettings)
    detail: VaeSettings = field(default_factory=lambda: VaeSettings(steps=4000, learning_rate=1e-4))
    hue: VaeSettings = field(default_factory=lambda: VaeSettings(steps=4000, learning_rate=1e-4))
    decoder: VaeSettings = field(default_factory=lambda: VaeSettings(steps=8000, learning_rate=1e-4))
    vision: VisionSettings = field(default_factory=VisionSettings)
    language: LanguageSettings = field(default_factory=LanguageSettings)
    unet: UnetSettings = field(default_factory=UnetSettings)
    joint: JointSettings = field(default_factory=JointSettings)
