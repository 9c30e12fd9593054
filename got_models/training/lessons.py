"""The user's pictures as the material of a training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from accelerate import Accelerator

from ..dataset.encoding import Encoder
from ..dataset.row_batches import RowBatches
from ..dataset.rows import Row, read_dataset
from ..errors import GoTError, Interrupted
from ..pipeline import GoTModel
from ..weights.fingerprints import Fingerprints
from .config import LoraTraining
from .material import Prepared, stop_if
from .modules import LoraModules
from .observer import TrainingObserver
from .prior_preservation import known_prompts, preserve
from .run_files import PRESERVED_FOLDER
from .validation import Validator


class Lessons:
    """A dataset of pictures, as `Material`.

    Raises:
        GoTError: the dataset is invalid, or does not go with the config.
        Interrupted: the observer asked to stop.
    """

    def __init__(self, config: LoraTraining, observer: TrainingObserver) -> None:
        self.config = config
        self.observer = observer
        dataset = read_dataset(config.dataset, lambda rows: stop_if(observer.should_stop))
        dataset = dataset.usable(config.leave_out_bad_rows)
        self.folder = dataset.folder
        self.digest = dataset.digest
        self.rows, self.validation_rows = split_rows(dataset.rows, config.validation_rows)
        self.prompts = known_prompts(self.rows, config) if config.preserved_rows else []

    def prepare(
        self, model: GoTModel, cache: Path, fingerprints: Fingerprints, accelerator: Accelerator
    ) -> Prepared:
        config, observer = self.config, self.observer
        encoder = Encoder(model, config.resolution_px, cache, fingerprints)
        rows = (*self.rows, *_preserved_rows(config, self.prompts, encoder, accelerator, observer))
        _encode(rows, encoder, accelerator, observer)
        batches = RowBatches(rows, encoder, model, config.batch_rows, config.seed)
        validator = None
        if accelerator.is_main_process and self.validation_rows:
            validator = Validator(encoder, self.validation_rows, config.validation_steps, config.seed)
        if validator is None:
            model.parts.release("vae")  # all its outputs are in the cache now
        return Prepared(LoraModules(model, config), batches, validator)


def _preserved_rows(
    config: LoraTraining,
    prompts: list[tuple[Row, str]],
    encoder: Encoder,
    accelerator: Accelerator,
    observer: TrainingObserver,
) -> Sequence[Row]:
    """Rows that the model plans and draws for these prompts before the training.

    Raises:
        Interrupted: the observer asked to stop before all of them were drawn.
    """
    if not prompts:
        return ()
    folder = Path(config.out) / PRESERVED_FOLDER
    if accelerator.is_main_process:
        with suppress(Interrupted):
            preserve(encoder, prompts, config.validation_steps, folder, observer)
    accelerator.wait_for_everyone()
    preserved = read_dataset(folder)
    if len(preserved.rows) + len(preserved.invalid) < len(prompts):
        raise Interrupted("Drawing what the model knows was interrupted.")
    return preserved.rows


def _encode(
    rows: Sequence[Row], encoder: Encoder, accelerator: Accelerator, observer: TrainingObserver
) -> None:
    """Fill the cache with all rows.

    Raises:
        Interrupted: the observer asked to stop.
    """
    with accelerator.main_process_first():
        for done, row in enumerate(rows, start=1):
            stop_if(observer.should_stop)
            encoder.encode(row)
            observer.on_encode(done, len(rows))


def split_rows(rows: Sequence[Row], validation_rows: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows to train on, and the last ones, which are held out for validation.

    Raises:
        GoTError: none is left to train on, or none of those for validation has boxes to compare with.
    """
    if validation_rows >= len(rows):
        raise GoTError(
            f"validation_rows is {validation_rows}, but the dataset has {len(rows)} rows that can be used, "
            "and at least one must be left to train on. Keep fewer out, or add rows."
        )
    training, validation = rows[: len(rows) - validation_rows], rows[len(rows) - validation_rows :]
    if validation and not any(row.chain.regions for row in validation):
        raise GoTError(
            f"None of the last {validation_rows} rows has boxes that a plan could be compared with. Put rows "
            "with boxes at the end of the dataset."
        )
    return training, validation
