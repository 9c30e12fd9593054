"""GoT Train: a LoRA training on the user's pictures, as a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.errors import GoTError
from ..got_models.training.observer import Progress, TrainingObserver
from ..got_models.training.run_files import RUN_FILE
from ._comfy.feedback import interrupted, stop_if_interrupted, uninterruptible_progress_bar
from ._comfy.memory import on_cpu, room_for_training
from ._inputs import ExternalChanges, checked, rejection, seed_input, state
from ._runs import adapter_times, cache_folder, newest_samples, reporter, run_folder
from .dataset import STOP

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ..got_models.dataset.rows import Dataset
    from ..got_models.training.config import LoraTraining
    from ..got_models.training.validation import Validation
    from ._model import ManagedModel
    from ._runs import Report


RESUME, RESUME_CHANGED = "go on", "go on with changed pictures"
CONFIG_FILE = "config.yaml"
MAX_WARMUP = 100  # steps

trainings = ExternalChanges(adapter_times)


@checked
class GoTTrain:
    DESCRIPTION = (
        "Teaches the model your own pictures: how they are planned and how things in them look. The "
        "checkpoint is not changed; what is learned goes into an adapter, a small file. Stop saves, and with "
        "the same inputs the training resumes exactly where it was."
    )
    CATEGORY = "GoT/training"
    SEARCH_ALIASES = ("lora train", "train lora", "training", "fine-tune", "finetune")
    RETURN_TYPES = ("GOT_ADAPTER", "IMAGE")
    RETURN_NAMES = ("adapter", "samples")
    OUTPUT_TOOLTIPS = (
        "What was learned, for GoT LoRA Loader.",
        "What the model made of the held-out pictures, above those pictures, at the last validation; "
        "black if there was none.",
    )
    FUNCTION = "train"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {**_run_inputs(), **_learning_inputs(), **_batch_inputs()},
            "optional": _more_settings(),
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, name: str | None) -> bool | str:
        return rejection(run_folder, name)

    @classmethod
    def IS_CHANGED(cls, name: str | None, **_: Any) -> str:
        """Detects that a training has been deleted or resumed elsewhere."""
        return state(trainings.count, name)

    def train(
        self,
        model: ManagedModel,
        dataset: Dataset,
        name: str,
        when_it_exists: str,
        steps: int,
        learning_rate: float,
        rank: int,
        resolution_px: int,
        batch_rows: int,
        batches_per_step: int,
        seed: int,
        validation_rows: int,
        validate_every_steps: int,
        settings: str = "",
        node_id: str | None = None,
    ) -> tuple[Path, Tensor]:
        from ..got_models.training.config import make_config

        if model.parts.adapters:
            raise GoTError(
                "A training starts from a checkpoint as it is, and this model has an adapter applied. "
                "Connect GoT Model Loader itself."
            )
        part = {"rank": rank, "alpha": rank, "learning_rate": learning_rate}
        config = make_config(
            merged(
                {
                    "checkpoint": str(model.path),
                    "dataset": str(dataset.folder),
                    "out": str(run_folder(name)),
                    "cache": str(cache_folder()),
                    "leave_out_bad_rows": bool(dataset.invalid),
                    "precision": "float32" if str(model.parts.dtype) == "torch.float32" else "bfloat16",
                    "steps": steps,
                    "warmup_steps": min(MAX_WARMUP, steps // 10),
                    "resolution_px": resolution_px or model.settings.tasks["generate"].height,
                    "batch_rows": batch_rows,
                    "batches_per_step": batches_per_step,
                    "seed": seed,
                    "validation_rows": validation_rows,
                    "validate_every_steps": validate_every_steps,
                    "mllm": part,
                    "unet": part,
                    "projectors_learning_rate": learning_rate,
                },
                read_settings(settings),
            )
        )
        return run_training(config, name, when_it_exists, node_id)


def _run_inputs() -> dict[str, Any]:
    """The inputs that select the training."""
    return {
        "model": (
            "GOT_MODEL",
            {
                "tooltip": "The checkpoint to start from, directly from GoT Model Loader. With float32 "
                "weights it is trained in float32, otherwise in bfloat16; the loader's memory-saving "
                "settings have no effect here."
            },
        ),
        "dataset": ("GOT_DATASET", {"tooltip": "What to learn, from GoT Dataset."}),
        "name": (
            "STRING",
            {
                "default": "my pictures",
                "tooltip": "The name of the training: its folder in output/got_training.",
            },
        ),
        "when_it_exists": (
            [RESUME, RESUME_CHANGED, STOP],
            {
                "default": RESUME,
                "advanced": True,
                "tooltip": "What to do if a training with this name exists. go on: resume it, which "
                "requires the same inputs. go on with changed pictures: resume it although the dataset "
                "has changed. stop: report it and stop.",
            },
        ),
    }


def _learning_inputs() -> dict[str, Any]:
    """The inputs for optimization."""
    return {
        "steps": (
            "INT",
            {"default": 2000, "min": 1, "max": 100_000, "tooltip": "Number of training steps."},
        ),
        "learning_rate": (
            "FLOAT",
            {
                "default": 5e-5,
                "min": 0.0,
                "max": 1.0,
                "step": 1e-6,
                "round": False,
                "tooltip": "Step size. Higher learns faster; too high destroys what the model knew.",
            },
        ),
        "rank": (
            "INT",
            {
                "default": 32,
                "min": 1,
                "max": 512,
                "tooltip": "Capacity of the adapter; its file grows with it.",
            },
        ),
        "resolution_px": (
            "INT",
            {
                "default": 0,
                "min": 0,
                "max": 2048,
                "step": 8,
                "tooltip": "Pictures are trained at about the area of a square with this side, in pixels, "
                "each in its own aspect ratio. 0: the size that the checkpoint draws at.",
            },
        ),
    }


def _batch_inputs() -> dict[str, Any]:
    """The inputs for batches and validation."""
    return {
        "batch_rows": (
            "INT",
            {
                "default": 1,
                "min": 1,
                "max": 256,
                "advanced": True,
                "tooltip": "Pictures per batch. More are faster, as long as the memory suffices.",
            },
        ),
        "batches_per_step": (
            "INT",
            {
                "default": 4,
                "min": 1,
                "max": 1024,
                "advanced": True,
                "tooltip": "Batches per optimizer step (gradient accumulation): as good as larger "
                "batches, without more memory.",
            },
        ),
        "seed": seed_input(
            "Seed for the order of pictures and for noise. The same seed gives the same adapter.",
            control_after_generate=False,
            advanced=True,
        ),
        "validation_rows": (
            "INT",
            {
                "default": 4,
                "min": 0,
                "max": 256,
                "advanced": True,
                "tooltip": "The last rows of the dataset are held out to show how well the model plans "
                "and draws what it was not trained on. 0: train on all.",
            },
        ),
        "validate_every_steps": (
            "INT",
            {
                "default": 250,
                "min": 0,
                "max": 100_000,
                "advanced": True,
                "tooltip": "How often to validate on the held-out rows; 0 if there are none.",
            },
        ),
    }


def _more_settings() -> dict[str, Any]:
    """The inputs for all other settings."""
    return {
        "settings": (
            "STRING",
            {
                "default": "",
                "multiline": True,
                "advanced": True,
                "tooltip": "More settings, one per line, such as ema_decay: 0.99; docs/lora.md lists "
                "them. They override the inputs above.",
            },
        ),
    }


def run_training(
    config: LoraTraining, name: str, when_it_exists: str, node_id: str | None
) -> tuple[Path, Tensor]:
    """Start or resume a training, shown on the node; the adapter's file and the latest samples."""
    from PIL import Image

    from ..got_models.pictures import open_picture
    from ..got_models.training.trainer import train_lora
    from ._images import pictures_to_image

    folder = run_folder(name)
    exists = (folder / RUN_FILE).exists()
    if exists and when_it_exists == STOP:
        raise GoTError(
            f"There is a training {name!r} already. Choose another name, or {RESUME!r} to resume it."
        )
    report = reporter(name, config.steps, node_id)
    adapter = None
    try:
        with room_for_training():
            adapter = train_lora(
                config,
                resume=exists,
                changed_dataset=when_it_exists == RESUME_CHANGED,
                observer=NodeObserver(report, config, begin=not exists),
                cpu=on_cpu(),
            )
    finally:
        report.end("done" if adapter else "stopped")
    if adapter is None:
        stop_if_interrupted()
        raise GoTError(f"The training {name!r} was stopped. Run it again to resume.")
    trainings.done(name)
    samples = newest_samples(folder)
    picture = open_picture(samples) if samples else Image.new("RGB", (64, 64))
    return adapter, pictures_to_image([picture])


class NodeObserver(TrainingObserver):
    """Shows a training on its node and in ComfyUI's progress bars, and responds to Stop.

    Args:
        begin: whether the run starts now, so that its config has to be written.
    """

    def __init__(self, report: Report, config: LoraTraining, begin: bool) -> None:
        self.report = report
        self.config = config
        self.begin = begin
        self._update = uninterruptible_progress_bar(config.steps)

    def on_check(self, done: int, total: int) -> None:
        uninterruptible_progress_bar(total)(done)
        self.report.checking(done, total)

    def on_begin(self) -> None:
        folder = self.report.folder
        if self.begin or not (folder / CONFIG_FILE).exists():
            write_config(folder, self.config)

    def on_preserve(self, done: int, total: int) -> None:
        self.report.preserving(done, total)

    def on_encode(self, done: int, total: int) -> None:
        self.report.encoding(done, total)

    def on_step(self, progress: Progress) -> None:
        self._update(progress.step)
        self.report.step(progress.step, progress.losses)

    def on_validation(self, validation: Validation) -> None:
        self.report.validation(validation.step, validation.layout_iou)

    def should_stop(self) -> bool:
        return interrupted()


def read_settings(text: str) -> dict[str, Any]:
    """The text of the `settings` widget, parsed.

    Raises:
        GoTError: it is not a YAML mapping, or sets paths, which are the node's inputs.
    """
    from ..got_models.files.yaml_mappings import read_yaml
    from ..got_models.training.config import PATHS

    values = read_yaml(text, "The settings")
    if taken := sorted({*PATHS} & {*values}):
        raise GoTError(f"The settings cannot hold {', '.join(taken)}: the node's inputs say that.")
    return values


def merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """`values` overridden by `others`, recursively."""
    new = dict(values)
    for key, value in others.items():
        both = isinstance(value, dict) and isinstance(new.get(key), dict)
        new[key] = merged(new[key], value) if both else value
    return new


def write_config(folder: Path, config: LoraTraining) -> None:
    """Write the config for `python -m got_models train`, which can resume the run on other machines.

    Raises:
        GoTError: the folder cannot be written to.
    """
    import yaml

    from ..got_models.files.whole_files import write_whole
    from ..got_models.training.config import as_dictionary

    write_whole(folder / CONFIG_FILE, yaml.safe_dump(as_dictionary(config), sort_keys=False).encode())
