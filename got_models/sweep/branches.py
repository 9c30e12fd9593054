"""What each branch of the guidance adds, as heat maps over the steps (paper, fig. 9)."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..diffusion.sampler import Step
from ..errors import GoTError
from .grid import labelled_grid

ADDED = {
    "words": ("semantic", "reference"),
    "boxes": ("full", "semantic"),
    "source": ("reference", "null"),
}
"""What is added between two branches: the first has it, the second not."""

_STEPS_SHOWN = 6
_BLACK, _ORANGE, _YELLOW = (0, 0, 0), (235, 90, 20), (255, 255, 190)


class BranchRecorder:
    """Keeps, of every step, how far apart the branches' predictions are.

    Give ``record`` to the sampler, and let it evaluate every branch: a picture seldom needs them all.

    Each difference is a map [h, w] per picture, the mean over the latent channels; of a batch the first.
    """

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def record(self, step: Step) -> None:
        """Takes the differences of a step."""
        self.steps.append(
            {
                name: (step.branches[one][0] - step.branches[other][0]).float().abs().mean(dim=0).cpu()
                for name, (one, other) in ADDED.items()
            }
        )

    def picture(self) -> Image.Image:
        """A row for each kind of guidance that changes something, a column for each of some steps.

        Brighter is more, relative to the largest difference in the row.

        Raises:
            GoTError: nothing changes anything.
        """
        largest = {name: max(float(step[name].max()) for step in self.steps) for name in ADDED}
        names = [name for name in ADDED if largest[name] > 0]
        if not names:
            raise GoTError(
                "All branches of the guidance predict the same: this checkpoint draws alike with and without "
                "words and boxes, so there is no difference to show. Check that it is a trained one."
            )
        shown = [round(place) for place in np.linspace(0, len(self.steps) - 1, _STEPS_SHOWN)]
        shown = list(dict.fromkeys(shown))
        maps = [[heat(self.steps[index][name], largest[name]) for index in shown] for name in names]
        means = [[f"mean {self.steps[index][name].mean():.3f}" for index in shown] for name in names]
        columns = [f"step {index + 1}" for index in shown]
        return labelled_grid(maps, columns, names, means)


def heat(values: Tensor, largest: float) -> Image.Image:
    """A map [h, w] in colours: black for 0, over orange, to pale yellow for ``largest``; 8 pixels a point."""
    share = (values / max(largest, 1e-12)).clamp(0, 1).unsqueeze(-1)
    black, orange, yellow = (torch.tensor(color, dtype=torch.float32) for color in (_BLACK, _ORANGE, _YELLOW))
    low, high = torch.lerp(black, orange, share * 2), torch.lerp(orange, yellow, share * 2 - 1)
    colors = torch.where(share < 0.5, low, high).round().to(torch.uint8).numpy()
    picture = Image.fromarray(colors)
    return picture.resize((8 * picture.width, 8 * picture.height), Image.Resampling.NEAREST)
