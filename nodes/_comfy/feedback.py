"""Progress, previews and interruption while a node runs; without ComfyUI these do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...got_models.errors import printable
from . import inside_comfyui

if TYPE_CHECKING:
    from torch import Tensor

TEXT_EVENT = "got_text"


# Feedback and interruption


def running_node() -> str | None:
    """The id of the node that ComfyUI runs in this thread."""
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    return None if context is None else str(context.node_id)


def stop_if_interrupted() -> bool:
    """Raises ComfyUI's own exception if the user pressed stop; else False, for use as `should_stop`."""
    if inside_comfyui():
        import comfy.model_management as management

        management.throw_exception_if_processing_interrupted()
    return False


def interrupted() -> bool:
    """Whether the user has pressed stop, for work to be saved first; then `stop_if_interrupted`."""
    if not inside_comfyui():
        return False
    import comfy.model_management as management

    return bool(management.processing_interrupted())


def send(event: str, data: dict[str, Any]) -> None:
    """Send an event, with its prompt's id, to the page that queued the current run; scripts have no page.

    Texts in `data` may come from outside: what cannot be encoded is escaped.
    """
    if not inside_comfyui():
        return
    from server import PromptServer

    server = PromptServer.instance
    if server.client_id is not None:
        message = {**data, "prompt_id": server.last_prompt_id}
        server.send_sync(event, encodable(message), server.client_id)


def encodable(value: Any) -> Any:
    """The value with all its texts `printable`, including those in lists and dictionaries."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {encodable(key): encodable(entry) for key, entry in value.items()}
    return [encodable(entry) for entry in value] if isinstance(value, list | tuple) else value


def show_text(text: str, node_id: str | None) -> None:
    """Show text on a node while it runs.

    Not with ComfyUI's `send_progress_text`: its text is HTML in some frontends, and goes to every page.
    """
    if node_id is not None:
        send(TEXT_EVENT, {"node": node_id, "text": text})


def progress_bar(total: int) -> Callable[[int, Any], None]:
    """The current node's progress bar: a function of how much of `total` is finished, and of a preview."""
    if not inside_comfyui():
        return lambda done, preview: None
    import comfy.utils

    bar = comfy.utils.ProgressBar(total)
    return lambda done, preview: bar.update_absolute(done, total, preview)


def uninterruptible_progress_bar(total: int) -> Callable[[int], None]:
    """The same for work that must be saved before it stops: ComfyUI's bar would stop it immediately."""
    update = progress_bar(total)
    if not inside_comfyui():
        return lambda done: None
    import comfy.model_management as management

    def show(done: int) -> None:
        try:
            update(done, None)
        except management.InterruptProcessingException:
            management.interrupt_current_processing()  # for `interrupted` to report

    return show


def latent_previews(encode: Callable[[Tensor], Tensor], scaling_factor: float) -> Callable[[Tensor], Any]:
    """A function from scaled latents [b, 4, h, w] to a preview for `progress_bar`; None if previews are off.

    Args:
        encode: IMAGE -> scaled latents on the CPU, called to fit the colours of a VAE that is not SDXL's.
        scaling_factor: the VAE's; it identifies the SDXL VAE that ComfyUI knows.
    """
    if not inside_comfyui():
        return lambda latents: None
    import comfy.latent_formats
    import comfy.model_management as management
    import latent_preview

    from .._images import fit_preview_colors

    latent_format = comfy.latent_formats.SDXL()
    previewer = latent_preview.get_previewer(management.get_torch_device(), latent_format)
    if previewer is None:
        return lambda latents: None
    if latent_format.scale_factor != scaling_factor:
        latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias = fit_preview_colors(encode)
        latent_format.taesd_decoder_name = None
        previewer = latent_preview.get_previewer(management.get_torch_device(), latent_format)
    device = management.get_torch_device()
    return lambda latents: previewer.decode_latent_to_preview_image("JPEG", latents.to(device))
