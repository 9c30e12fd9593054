"""Small prompts in the API format: node name -> its class and inputs."""

from __future__ import annotations

import copy
from typing import Any

from got_models.chain.chain import Box, ReasoningChain

Prompt = dict[str, dict[str, Any]]

CAPTION = "a large red circle to the left of a large blue square on a white background"
CHAIN = ReasoningChain.parse(
    "On a white background there is a large red circle (62,312),(438,688), and to the right of it "
    "a large blue square (562,312),(938,688).",
    "generate",
    CAPTION,
)
MOVED = CHAIN.move_box(1, Box(562, 562, 938, 938))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def changed(prompt: Prompt, name: str, **inputs: Any) -> Prompt:
    """The prompt with other inputs for one of its nodes."""
    other = copy.deepcopy(prompt)
    other[name]["inputs"] |= inputs
    return other


def loading(checkpoint: str) -> Prompt:
    return {"loader": node("GoTModelLoader", checkpoint=checkpoint, dtype="float32")}


def reasoning(checkpoint: str, prompt: str = CAPTION, most_tokens: int = 12) -> Prompt:
    return {
        **loading(checkpoint),
        "reason": node(
            "GoTReason",
            model=["loader", 0],
            prompt=prompt,
            task="auto",
            max_new_tokens=most_tokens,
            temperature=-1.0,
            top_p=1.0,
            seed=0,
        ),
        "shown": node("PreviewAny", source=["reason", 1]),
    }


def drawing(checkpoint: str, steps: int = 3, seed: int = 1, size: int = 128) -> Prompt:
    """A plan typed in by hand, drawn and saved."""
    return {
        **loading(checkpoint),
        "plan": node("GoTChainFromText", task="generate", prompt=CAPTION, text=CHAIN.text),
        "encode": node("GoTSSGMEncode", model=["loader", 0], chain=["plan", 0], width=size, height=size),
        "sampler": node(
            "GoTSampler",
            model=["loader", 0],
            guidance=["encode", 0],
            seed=seed,
            steps=steps,
            scheduler="ddpm",
            semantic_scale=-1.0,
            spatial_scale=-1.0,
            reference_scale=-1.0,
            keep_outside_boxes=True,
            batch_size=1,
        ),
        "save": node("SaveImage", images=["sampler", 1], filename_prefix="test"),
    }


def editing(checkpoint: str, instruction: str = "make the red circle green") -> Prompt:
    """A picture, drawn as above, is looked at by the MLLM and edited."""
    picture = ["sampler", 1]
    whole = {**drawing(checkpoint), **reasoning(checkpoint, instruction)}
    whole["reason"]["inputs"]["image"] = picture
    encode = changed(whole, "encode", chain=["reason", 0], reference=picture)["encode"]
    sampler = changed(whole, "sampler", guidance=["encode edit", 0])["sampler"]
    return changed({**whole, "encode edit": encode, "edit": sampler}, "save", images=["edit", 1])


def everything(checkpoint: str, prompt: str = CAPTION, edited_chain: str = "") -> Prompt:
    """A caption becomes a plan, the plan may be edited, and the picture is saved."""
    whole = {**drawing(checkpoint), **reasoning(checkpoint, prompt)}
    whole["plan"] = node(
        "GoTEditChain", chain=["reason", 0], edited_chain=edited_chain, when_upstream_changes="keep mine"
    )
    return whole


def native(checkpoint: str, size: int = 128, latent_size: int = 128) -> Prompt:
    """The same plan, drawn by ComfyUI's own sampler."""
    whole = drawing(checkpoint, size=size)
    del whole["sampler"]
    return {
        **whole,
        "native": node("GoTNativeModelLoader", checkpoint=checkpoint, weight_dtype="float32"),
        "guider": node(
            "GoTGuider",
            model=["native", 0],
            guidance=["encode", 0],
            semantic_scale=-1.0,
            spatial_scale=-1.0,
            reference_scale=-1.0,
        ),
        "noise": node("RandomNoise", noise_seed=1),
        "select": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["native", 0], scheduler="ddim_uniform", steps=2, denoise=1.0),
        "latent": node("EmptyLatentImage", width=latent_size, height=latent_size, batch_size=1),
        "draw": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["select", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["draw", 0], vae=["native", 1]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="test"),
    }
