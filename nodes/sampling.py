"""GoT Sampler: turns guidance into a picture, with the library's own denoising loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..got_models.notes import Note
from ._comfy.feedback import latent_previews, progress_bar, stop_if_interrupted
from ._comfy.memory import result_device
from ._inputs import checked, seed_input
from ._plans import notes_ui
from ._speed import AUTO, sampling_settings, scheduler_widget, speed_widget, steps_widget
from .guidance import EncodedPlan, scale_widgets, split

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..got_models.diffusion.sampler import Step
    from ._model import ManagedModel

MAX_PICTURES = 64


@checked
class GoTSampler:
    DESCRIPTION = (
        "Draws the picture. An edit is returned at the size of its source, redrawn inside the plan's "
        "boxes; the node says so if what was drawn is smaller and had to be enlarged."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("generate image", "edit image", "image editing", "layout to image")
    RETURN_TYPES = ("LATENT", "IMAGE")
    RETURN_NAMES = ("latent", "image")
    OUTPUT_TOOLTIPS = (
        "The picture as latents, at the size that was drawn: before an edit is brought to its source's "
        "shape. With keep_outside_boxes the source's latents surround the boxes here too.",
        "The finished pictures. When a batch is edited: all its pictures, then all again, batch_size times.",
    )
    FUNCTION = "sample"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint that made the guidance."}),
                "guidance": ("GOT_GUIDANCE", {"tooltip": "What to draw, from SSGM Encode."}),
                "seed": seed_input(
                    "The same seed gives the same picture. In a batch each picture has its "
                    "own: seed, seed + 1, seed + 2 and so on."
                ),
                **steps_widget("Denoising steps; more take longer and give cleaner pictures."),
                **scheduler_widget(),
                **scale_widgets(advanced=True),
                "keep_outside_boxes": (
                    "BOOLEAN",
                    {
                        "default": True,
                        "tooltip": "When editing: everything outside the plan's boxes is taken from the "
                        "source, at its full size and with a soft edge. Off: the whole picture is "
                        "redrawn, at the size that was drawn. No effect when generating.",
                    },
                ),
                "batch_size": (
                    "INT",
                    {
                        "default": 1,
                        "min": 1,
                        "max": MAX_PICTURES,
                        "tooltip": "Number of pictures to draw from the same guidance. Picture number k, "
                        "counted from 0, is the one that seed + k gives alone.",
                    },
                ),
            },
            "optional": speed_widget(),
        }

    def sample(
        self,
        model: ManagedModel,
        guidance: EncodedPlan,
        seed: int,
        steps: int,
        scheduler: str,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
        keep_outside_boxes: bool,
        batch_size: int = 1,
        speed: str = AUTO,
    ) -> dict[str, Any]:
        import torch

        from ..got_models.edit_area import enlargement

        plan = guidance
        if plan.source is not None and model.leaves_unchanged(plan.chain):
            untouched = {"samples": plan.guidance.reference.repeat(batch_size, 1, 1, 1)}
            image = plan.source.repeat(batch_size, 1, 1, 1)
            return {"ui": notes_ui([Note("left_as_it_is")]), "result": (untouched, image)}
        scales = plan.scales(semantic_scale, spatial_scale, reference_scale)
        model = model.at_speed(speed)
        given = sampling_settings(scales, seed, steps, scheduler, speed)
        settings = model.sampling(given, plan.chain.task)
        each = settings.steps or 0

        # 1. Denoise, one picture after the other: each has its own seed and can be reproduced alone.
        rows = split(plan.guidance) * batch_size  # first, second, first, second: as ComfyUI repeats a batch
        update, preview = progress_bar(len(rows) * each), previews(model, plan.guidance.size)
        drawn = []
        for index, row in enumerate(rows):

            def on_step(step: Step, done: int = index * each) -> None:
                update(done + step.index, preview(step.predicted))

            with_seed = replace(settings, seed=(seed + index) % 2**64)
            latents = model.sample_latents(row, with_seed, on_step=on_step, should_stop=stop_if_interrupted)
            drawn.append(latents.to(result_device(), torch.float32))  # [1, 4, h, w]

        # 2. Decode after all sampling, so that UNet and VAE need not share GPU memory.
        pictures = []
        for latents in drawn:
            stop_if_interrupted()
            pictures.append(model.decode(latents))
        samples = torch.cat(drawn) / model.vae_scaling_factor

        # 3. Resize an edit to its source, and restore what must not change.
        samples, image = finish(plan, samples, pictures, batch_size, keep_outside_boxes)
        notes: list[Note] = []
        if plan.source is not None and keep_outside_boxes:
            notes = enlargement(plan.guidance.size, (plan.source.shape[1], plan.source.shape[2]))
        return {"ui": notes_ui(notes), "result": ({"samples": samples}, image)}


def previews(model: ManagedModel, size: tuple[int, int]) -> Callable[[Tensor], Any]:
    """A function from scaled latents to a small picture for the progress bar."""
    from ..got_models.diffusion.vae import encode_unscaled

    factor = model.vae_scaling_factor

    def encode(image: Tensor) -> Tensor:
        vae = model.parts.vae(size)
        pixels = image.movedim(-1, 1).to(vae.device, vae.dtype) * 2 - 1
        return encode_unscaled(vae, pixels).float().cpu() * factor

    return latent_previews(encode, factor)


def finish(
    plan: EncodedPlan,
    samples: Tensor,
    pictures: list[Image.Image],
    repeats: int,
    keep_outside_boxes: bool,
) -> tuple[Tensor, Tensor]:
    """The unscaled latents [n, 4, h, w] and the IMAGE that the sampler returns.

    A generated picture is unchanged. An edited one is its source, redrawn inside the chain's boxes, and so
    are its latents; if nothing is kept, it has its source's aspect and the drawn short side. The batch of
    sources was drawn `repeats` times.
    """
    from ..got_models.edit_area import edited_area, paste, paste_latents, resize_result
    from ._images import pictures_to_image, resize_image

    if plan.source is None:
        return samples, pictures_to_image(pictures)
    height, width = size = (plan.source.shape[1], plan.source.shape[2])
    if not keep_outside_boxes:
        shaped = [resize_result(picture, (width, height), min(picture.size)) for picture in pictures]
        return samples, pictures_to_image(shaped)
    regions = plan.chain.regions
    drawn = resize_image(pictures_to_image(pictures), size)
    image = paste(drawn, plan.source.repeat(repeats, 1, 1, 1), edited_area(regions, size))
    reference = plan.guidance.reference.repeat(repeats, 1, 1, 1)
    samples = paste_latents(samples, reference, edited_area(regions, plan.guidance.size))
    return samples, image
