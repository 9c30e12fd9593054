"""Registration with ComfyUI at start: the model folder, routes, and plans in saved pictures."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ._comfy import inside_comfyui
from ._comfy.feedback import running_node
from ._comfy.folders import MODEL_FOLDER
from ._png import prepare

TRAINING_ROUTE = "/got/training/{name}"
SETTINGS_ROUTE = "/got/own_settings"
CHECK_ROUTE = "/got/plan_check"
PASTE_ROUTE = "/got/pasted_plan"
REVIEW_ROUTE = "/got/review"


def register() -> bool:
    """Make `models/got` a model folder of ComfyUI's, and make saved pictures carry their chain.

    Returns False with a warning if another copy of this pack has registered: ComfyUI could not start with
    two.
    """
    if not inside_comfyui():
        return True
    import folder_paths
    from server import PromptServer

    from ._answers import answer_check, answer_pasted, answer_settings, for_own_pages
    from ._review import answer_decide, answer_open, answer_picture
    from ._runs import answer_page

    routes = PromptServer.instance.routes
    here = Path(__file__).parents[1]
    for route in routes:
        if getattr(route, "path", None) == TRAINING_ROUTE:
            other = Path(route.handler.__code__.co_filename).parents[1]
            if other != here:
                logging.warning(
                    "ComfyUI-GoT is installed twice, in %s and in %s. The first is used: remove one.",
                    other,
                    here,
                )
            return other == here
    folder_paths.add_model_folder_path(MODEL_FOLDER, os.path.join(folder_paths.models_dir, MODEL_FOLDER))
    PromptServer.instance.add_on_prompt_handler(lambda request: prepare(request, running_node))
    for route, answer in (
        (routes.get(TRAINING_ROUTE), answer_page),
        (routes.get(SETTINGS_ROUTE), answer_settings),
        (routes.post(CHECK_ROUTE), answer_check),
        (routes.post(PASTE_ROUTE), answer_pasted),
        (routes.post(f"{REVIEW_ROUTE}/open"), answer_open),
        (routes.post(f"{REVIEW_ROUTE}/decide"), answer_decide),
        (routes.get(f"{REVIEW_ROUTE}/picture"), answer_picture),
    ):
        route(for_own_pages(answer))
    return True
