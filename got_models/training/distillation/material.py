"""Prompts as the material of a distillation."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator

from ...pipeline import GoTModel
from ...weights.fingerprints import Fingerprints
from ..config import LoraTraining
from ..material import Prepared, stop_if
from ..observer import TrainingObserver
from .batches import WalkBatches
from .prompts import read_prompts
from .student import StudentModules
from .teacher import Teacher


class Distillation:
    """Prompts, planned and drawn by the checkpoint itself, as `Material`.

    Raises:
        GoTError: the prompts are invalid.
    """

    def __init__(self, config: LoraTraining, observer: TrainingObserver) -> None:
        self.config = config
        self.observer = observer
        self.prompts = read_prompts(Path(config.prompts))
        self.folder = self.prompts.folder
        self.digest = self.prompts.digest

    def prepare(
        self, model: GoTModel, cache: Path, fingerprints: Fingerprints, accelerator: Accelerator
    ) -> Prepared:
        should_stop = self.observer.should_stop
        teacher = Teacher(model, self.config, self.prompts, cache, fingerprints)
        batches = WalkBatches(teacher)
        drawings = list(batches.drawings())
        with accelerator.main_process_first():
            for request in teacher.requests:
                stop_if(should_stop)
                teacher.guidance(request, should_stop)
            for part in ("reasoner", "ssgm", "vae"):  # all their outputs are in the cache now
                model.parts.release(part)
            for done, (group, noise) in enumerate(drawings, start=1):
                stop_if(should_stop)
                teacher.walks(group, noise, should_stop)
                self.observer.on_teach(done, len(drawings))
        return Prepared(StudentModules(model, self.config), batches)
