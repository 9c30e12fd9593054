"""What ComfyUI sees when it loads the pack: names, tooltips, and an import that costs nothing."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import got_pack
import pytest

ROOT = Path(__file__).parents[3]
NODES = sorted((ROOT / "nodes").rglob("*.py"))
COMFYUI = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "folder_paths",
    "latent_preview",
    "server",
}
HEAVY = {"accelerate", "diffusers", "numpy", "peft", "torch", "transformers"}
SLOWEST_IMPORT = 0.3  # seconds
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN")
MAX_WIDGETS = 6

IMPORT_LIKE_COMFYUI = f"""
import importlib.util, sys, time
start = time.process_time()
spec = importlib.util.spec_from_file_location(
    "/somewhere/ComfyUI-GoT", "__init__.py", submodule_search_locations=["."]
)
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for node in module.NODE_CLASS_MAPPINGS.values():
    node.INPUT_TYPES()
print(time.process_time() - start, *sorted({HEAVY!r} & set(sys.modules)))
"""

every_node = pytest.mark.parametrize("name", sorted(got_pack.NODE_CLASS_MAPPINGS))


def inputs(node: Any) -> dict[str, Any]:
    types = node.INPUT_TYPES()
    return {**types["required"], **types.get("optional", {})}


def test_the_ids_are_the_ones_that_saved_workflows_name() -> None:
    assert set(got_pack.NODE_CLASS_MAPPINGS) == {
        "GoTModelLoader",
        "GoTReason",
        "GoTEditChain",
        "GoTChainFromText",
        "GoTChainFromImage",
        "GoTChainToMasks",
        "GoTSSGMEncode",
        "GoTSampler",
        "GoTNativeModelLoader",
        "GoTGuider",
        "GoTImportCheckpoint",
        "GoTDataset",
        "GoTTrain",
        "GoTLoraLoader",
        "GoTConverse",
        "GoTRegionalConditioning",
        "GoTChainFromBoxes",
        "GoTChainToJSON",
        "GoTPlan",
        "GoTCheck",
        "GoTPickBest",
        "GoTLookAgain",
        "GoTSweep",
        "GoTAnnotate",
        "GoTReviewDataset",
    }
    assert got_pack.NODE_DISPLAY_NAME_MAPPINGS.keys() == got_pack.NODE_CLASS_MAPPINGS.keys()


@every_node
def test_every_input_and_output_has_a_tooltip_and_every_node_a_description(name: str) -> None:
    node = got_pack.NODE_CLASS_MAPPINGS[name]
    assert [key for key, (_, options) in inputs(node).items() if not options.get("tooltip")] == []
    assert len(node.OUTPUT_TOOLTIPS) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    assert all(node.OUTPUT_TOOLTIPS)
    assert node.DESCRIPTION
    assert node.CATEGORY in {"GoT", "GoT/native", "GoT/training"}


@every_node
def test_what_is_refused_before_a_run_is_said_once(name: str) -> None:
    """ComfyUI repeats what VALIDATE_INPUTS answers for each input that it asks for."""
    validate = getattr(got_pack.NODE_CLASS_MAPPINGS[name], "VALIDATE_INPUTS", None)
    assert validate is None or len(inspect.signature(validate).parameters) == 1


@every_node
def test_what_few_need_is_folded_away_and_works_untouched(name: str) -> None:
    widgets = {
        key: (kind, options)
        for key, (kind, options) in inputs(got_pack.NODE_CLASS_MAPPINGS[name]).items()
        if isinstance(kind, list) or kind in WIDGETS
    }
    folded = {key for key, (_, options) in widgets.items() if options.get("advanced")}
    assert len(widgets.keys() - folded) <= MAX_WIDGETS
    assert all(isinstance(widgets[key][0], list) or "default" in widgets[key][1] for key in folded)


@every_node
def test_every_node_is_found_by_words_that_artists_type(name: str) -> None:
    aliases = got_pack.NODE_CLASS_MAPPINGS[name].SEARCH_ALIASES
    assert len(aliases) >= 2
    assert list(aliases) == [alias.lower().strip() for alias in dict.fromkeys(aliases)]


@every_node
def test_what_a_node_says_and_what_its_own_settings_stand_for_is_shown_on_it(name: str) -> None:
    """The page has lists of the nodes that it does this for."""
    node = got_pack.NODE_CLASS_MAPPINGS[name]
    for file, asked in {
        "got_node_text.js": "notes_ui(" in inspect.getsource(node),
        "own_settings.js": "semantic_scale" in inputs(node),
    }.items():
        listed = (ROOT / "web" / file).read_text(encoding="utf-8")
        assert not asked or name in listed, file


@every_node
def test_the_function_takes_exactly_the_inputs_that_the_node_declares(name: str) -> None:
    node = got_pack.NODE_CLASS_MAPPINGS[name]
    parameters = inspect.signature(getattr(node(), node.FUNCTION)).parameters
    assert parameters.keys() == {*inputs(node), *node.INPUT_TYPES().get("hidden", {})}


def test_importing_the_pack_is_quick_and_brings_in_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_LIKE_COMFYUI],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    seconds, *heavy = result.stdout.split()
    assert heavy == []
    assert float(seconds) < SLOWEST_IMPORT


LOAD_COPIES_LIKE_COMFYUI = """
import importlib.util, sys, types

class Routes(list):
    def get(self, path):
        return lambda handler: self.append(types.SimpleNamespace(path=path, handler=handler))

    post = get

routes = Routes([types.SimpleNamespace(prefix="/static")])  # some of aiohttp's have no path
server = types.SimpleNamespace(routes=routes, add_on_prompt_handler=lambda handler: None)
sys.modules["comfy.model_management"] = types.ModuleType("comfy.model_management")
sys.modules["server"] = types.ModuleType("server")
sys.modules["server"].PromptServer = types.SimpleNamespace(instance=server)
sys.modules["folder_paths"] = folder_paths = types.ModuleType("folder_paths")
folder_paths.models_dir = "models"
folder_paths.add_model_folder_path = lambda *arguments: None
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(
        folder.replace(".", "_x_"), folder + "/__init__.py", submodule_search_locations=[folder]
    )
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = module.NODE_CLASS_MAPPINGS, module.NODE_DISPLAY_NAME_MAPPINGS
    guarded = sum(hasattr(route.handler, "__wrapped__") for route in routes[1:])  # by for_own_pages
    print(*map(len, names), module.WEB_DIRECTORY, len(routes) - 1, guarded)
"""


@pytest.mark.parametrize("order", [("ComfyUI-GoT", "got"), ("got", "ComfyUI-GoT")])
def test_of_two_copies_the_first_registers_and_the_other_names_both(
    order: tuple[str, str], tmp_path: Path
) -> None:
    folders = [str(tmp_path / name) for name in order]
    for folder in folders:
        Path(folder).symlink_to(ROOT)
    result = subprocess.run(
        [sys.executable, "-c", LOAD_COPIES_LIKE_COMFYUI, *folders],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    count = len(got_pack.NODE_CLASS_MAPPINGS)
    assert result.stdout.splitlines() == [f"{count} {count} ./web 7 7", "0 0 None 7 7"]
    (line,) = [line for line in result.stderr.splitlines() if "twice" in line]
    assert line.index(folders[0]) < line.index(folders[1])


every_file = pytest.mark.parametrize("file", NODES, ids=lambda file: str(file.relative_to(ROOT / "nodes")))


def imported(nodes: Iterable[ast.AST]) -> list[str]:
    """The modules that import statements among `nodes` name; those of the pack start with a dot."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return names


def syntax(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@every_file
def test_comfyui_is_imported_by_its_adapters_only(file: Path) -> None:
    names = imported(ast.walk(syntax(file)))
    if file.name != "_register.py" and file.parent.name not in {"_comfy", "_native"}:
        assert [name for name in names if name.split(".")[0] in COMFYUI] == []


@every_file
def test_comfyui_and_what_needs_it_is_imported_inside_functions(file: Path) -> None:
    """All of `_native/` needs ComfyUI, whose classes it extends: so it is itself imported that late."""
    names = imported(syntax(file).body)
    if file.parent.name != "_native":
        assert [name for name in names if name.split(".")[0] in COMFYUI or name.startswith("._native")] == []


@every_file
def test_inside_the_pack_imports_are_relative_because_comfyui_gives_it_another_name(file: Path) -> None:
    names = imported(ast.walk(syntax(file)))
    assert [name for name in names if name.split(".")[0] in {"got_models", "nodes"}] == []
