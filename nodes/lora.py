"""GoT LoRA Loader: a model with an adapter applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.errors import GoTError
from ._inputs import checked, rejection, state
from ._runs import adapter_file, adapter_names

if TYPE_CHECKING:
    from pathlib import Path

    from ._model import ManagedModel


FROM_TRAINING = "from GoT Train"


@checked
class GoTLoraLoader:
    DESCRIPTION = (
        "Applies an adapter to the model, from GoT Train or from a file. The incoming model is not changed, "
        "so that both can be used side by side."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("got lora", "adapter", "lora trained on layouts")
    RETURN_TYPES = ("GOT_MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = ("The checkpoint with the adapter, for GoT Reason, SSGM Encode and GoT Sampler.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        strength = {"default": 1.0, "min": -10.0, "max": 10.0, "step": 0.05}
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint that the adapter was trained on."}),
                "adapter": (
                    [FROM_TRAINING, *adapter_names()],
                    {
                        "default": FROM_TRAINING,
                        "tooltip": "The adapter's file: of a training in output/got_training, or in "
                        "models/loras/got. from GoT Train: the one that is connected.",
                    },
                ),
                "mllm_strength": (
                    "FLOAT",
                    {
                        **strength,
                        "tooltip": "How strongly the adapter affects plans. 0: not at all.",
                    },
                ),
                "unet_strength": (
                    "FLOAT",
                    {
                        **strength,
                        "tooltip": "How strongly the adapter affects pictures. 0: not at all.",
                    },
                ),
            },
            "optional": {
                "trained": (
                    "GOT_ADAPTER",
                    {"tooltip": "From GoT Train. If connected, the file chosen above is not used."},
                ),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(cls, adapter: str | None) -> bool | str:
        """A workflow from elsewhere may refer to a file that is not here."""
        return adapter == FROM_TRAINING or rejection(adapter_file, adapter)

    @classmethod
    def IS_CHANGED(cls, adapter: str | None, **_: Any) -> str:
        """A training may be resumed under the same name. `from GoT Train` is not the name of a file."""
        return state(lambda adapter: adapter_file(adapter).stat().st_mtime_ns, adapter)

    def load(
        self,
        model: ManagedModel,
        adapter: str,
        mllm_strength: float,
        unet_strength: float,
        trained: Path | None = None,
    ) -> tuple[ManagedModel]:
        from ..got_models.weights.adapter_files import load_adapter
        from ..got_models.weights.adapting import check_adapter

        if trained is None and adapter == FROM_TRAINING:
            raise GoTError("No adapter is given: connect GoT Train to 'trained', or choose a file.")
        loaded = load_adapter(trained or adapter_file(adapter))
        check_adapter(model.path, model.settings.sizes, loaded)
        return (model.with_adapter(loaded, mllm_strength, unet_strength),)
