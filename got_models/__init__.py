"""Generation Chain-of-Thought (arXiv 2503.10639): a sentence becomes a plan, and the plan a picture.

    from got_models import GoTModel

    model = GoTModel.from_pretrained("got_models/tiny")
    chain = model.reason("a red circle to the left of a blue square")
    model.sample(model.encode(chain)).save("picture.png")

The names are imported lazily, so that plans alone need neither PyTorch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chain.chain import ReasoningChain
    from .chain.region import Box, Region
    from .diffusion.guidance import Guidance
    from .diffusion.settings import GuidanceScales, SamplingSettings
    from .errors import GoTError
    from .mllm.settings import GenerationSettings
    from .pipeline import GoTModel

_HOMES = {
    "Box": ".chain.region",
    "GenerationSettings": ".mllm.settings",
    "GoTError": ".errors",
    "GoTModel": ".pipeline",
    "Guidance": ".diffusion.guidance",
    "GuidanceScales": ".diffusion.settings",
    "ReasoningChain": ".chain.chain",
    "Region": ".chain.region",
    "SamplingSettings": ".diffusion.settings",
}

__all__ = [
    "Box",
    "GenerationSettings",
    "GoTError",
    "GoTModel",
    "Guidance",
    "GuidanceScales",
    "ReasoningChain",
    "Region",
    "SamplingSettings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
