"""ComfyUI-GoT: registers the nodes. ComfyUI imports this file, and nothing heavy comes with it."""

from .nodes._register import register
from .nodes.annotating import GoTAnnotate
from .nodes.chain import GoTChainFromImage, GoTChainFromText, GoTChainToMasks, GoTEditChain
from .nodes.checking import GoTCheck, GoTPickBest
from .nodes.conversation import GoTConverse
from .nodes.dataset import GoTDataset
from .nodes.guidance import GoTSSGMEncode
from .nodes.importing import GoTImportCheckpoint
from .nodes.loaders import GoTModelLoader
from .nodes.look_again import GoTLookAgain
from .nodes.lora import GoTLoraLoader
from .nodes.native import GoTGuider, GoTNativeModelLoader
from .nodes.notations import GoTChainFromBoxes, GoTChainToJSON
from .nodes.planning import GoTPlan
from .nodes.reasoning import GoTReason
from .nodes.regional import GoTRegionalConditioning
from .nodes.reviewing import GoTReviewDataset
from .nodes.sampling import GoTSampler
from .nodes.sweeping import GoTSweep
from .nodes.training import GoTTrain

# Ids never change: saved workflows name them.
NODE_CLASS_MAPPINGS = {
    "GoTModelLoader": GoTModelLoader,
    "GoTReason": GoTReason,
    "GoTEditChain": GoTEditChain,
    "GoTChainFromText": GoTChainFromText,
    "GoTChainFromImage": GoTChainFromImage,
    "GoTChainToMasks": GoTChainToMasks,
    "GoTSSGMEncode": GoTSSGMEncode,
    "GoTSampler": GoTSampler,
    "GoTNativeModelLoader": GoTNativeModelLoader,
    "GoTGuider": GoTGuider,
    "GoTImportCheckpoint": GoTImportCheckpoint,
    "GoTDataset": GoTDataset,
    "GoTTrain": GoTTrain,
    "GoTLoraLoader": GoTLoraLoader,
    "GoTConverse": GoTConverse,
    "GoTRegionalConditioning": GoTRegionalConditioning,
    "GoTChainFromBoxes": GoTChainFromBoxes,
    "GoTChainToJSON": GoTChainToJSON,
    "GoTPlan": GoTPlan,
    "GoTCheck": GoTCheck,
    "GoTPickBest": GoTPickBest,
    "GoTLookAgain": GoTLookAgain,
    "GoTSweep": GoTSweep,
    "GoTAnnotate": GoTAnnotate,
    "GoTReviewDataset": GoTReviewDataset,
}

NODE_DISPLAY_NAME_MAPPINGS = {
    "GoTModelLoader": "GoT Model Loader",
    "GoTReason": "GoT Reason",
    "GoTEditChain": "Edit Reasoning Chain",
    "GoTChainFromText": "GoT Chain from Text",
    "GoTChainFromImage": "GoT Chain from Image",
    "GoTChainToMasks": "Masks, Bounding Boxes",
    "GoTSSGMEncode": "SSGM Encode",
    "GoTSampler": "GoT Sampler",
    "GoTNativeModelLoader": "GoT Native Model Loader",
    "GoTGuider": "GoT Guider",
    "GoTImportCheckpoint": "GoT Import Checkpoint",
    "GoTDataset": "GoT Dataset",
    "GoTTrain": "GoT Train",
    "GoTLoraLoader": "GoT LoRA Loader",
    "GoTConverse": "Edit Image in Turns",
    "GoTRegionalConditioning": "GoT Regional Conditioning",
    "GoTChainFromBoxes": "GoT Chain from Boxes",
    "GoTChainToJSON": "GoT Chain to JSON",
    "GoTPlan": "GoT Plan",
    "GoTCheck": "GoT Check",
    "GoTPickBest": "GoT Pick Best",
    "GoTLookAgain": "GoT Look Again",
    "GoTSweep": "GoT Sweep",
    "GoTAnnotate": "GoT Annotate",
    "GoTReviewDataset": "GoT Review Dataset",
}

WEB_DIRECTORY = "./web"

if not register():  # another copy of this pack serves the nodes and the page
    NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, WEB_DIRECTORY = {}, {}, None

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
