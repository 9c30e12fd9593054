"""What the server tells of the pack: nodes, help, templates; and how little the pack slows its start."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import got_pack
import pytest

from .conftest import Checkpoint
from .place import ROOT, ComfyUI
from .prompts import drawing
from .server import PACK, Server

NODES = sorted(got_pack.NODE_CLASS_MAPPINGS)
WORKFLOWS = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
MAX_IMPORT = 0.3  # seconds
HEAVY = ("accelerate", "diffusers", "peft", "tokenizers", "torch", "transformers")

# Imports the pack as ComfyUI does, and prints how long that took and which of the modules named are loaded.
IMPORT = """
import importlib.util, sys, time
start = time.process_time()
specification = importlib.util.spec_from_file_location(
    "pack", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]]
)
sys.modules["pack"] = pack = importlib.util.module_from_spec(specification)
specification.loader.exec_module(pack)
print(time.process_time() - start, *sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@pytest.mark.parametrize("name", NODES)
def test_every_node_is_listed_with_all_its_tooltips(server: Server, name: str) -> None:
    about = server.get_json(f"/object_info/{name}")[name]
    assert about["display_name"] == got_pack.NODE_DISPLAY_NAME_MAPPINGS[name]
    assert about["description"]
    assert len(about["output_tooltips"]) == len(about["output"])
    assert all(about["output_tooltips"])
    for inputs in (about["input"].get("required", {}), about["input"].get("optional", {})):
        assert [key for key, (_, *options) in inputs.items() if not options[0]["tooltip"]] == []


@pytest.mark.parametrize("name", NODES)
def test_every_node_has_a_page_of_help(server: Server, name: str) -> None:
    page = server.get(f"/extensions/{PACK}/docs/{name}.md").decode()
    assert page.startswith(f"# {got_pack.NODE_DISPLAY_NAME_MAPPINGS[name]}\n")


def test_the_libraries_warn_of_nothing_that_will_go(server: Server, checkpoint: Checkpoint) -> None:
    assert server.run(drawing(checkpoint.name)).succeeded
    lines = server.log.read_text(errors="replace").splitlines()
    warned = [line for line in lines if "FutureWarning" in line]
    assert [
        line for line in warned if "is_gradient_checkpointing" not in line
    ] == []  # peft asks for that itself


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_given_every_node_in_its_language(server: Server, language: str) -> None:
    translation = server.get_json("/i18n")[language]["nodeDefs"]
    for name in NODES:
        about = server.get_json(f"/object_info/{name}")[name]["input"]
        assert translation[name]["inputs"].keys() == {**about["required"], **about.get("optional", {})}.keys()


def test_the_template_browser_lists_every_workflow_with_its_picture(server: Server) -> None:
    assert sorted(server.get_json("/workflow_templates")[PACK]) == WORKFLOWS
    for name in WORKFLOWS:
        address = f"/api/workflow_templates/{PACK}/{quote(name)}"
        assert server.get_json(f"{address}.json")["nodes"]
        assert server.get(f"{address}.jpg").startswith(b"\xff\xd8\xff")


def test_the_pack_is_imported_quickly_and_without_large_libraries(comfyui: ComfyUI, tmp_path: Path) -> None:
    command = [str(comfyui.python), "-c", IMPORT, str(ROOT), *HEAVY]
    tries = [subprocess.check_output(command, text=True, cwd=tmp_path).split() for _ in range(3)]
    assert min(float(seconds) for seconds, *_ in tries) < MAX_IMPORT
    assert [loaded for _, *loaded in tries] == [[], [], []]


def test_the_server_starts_with_the_pack_and_without_a_complaint(server: Server) -> None:
    log = server.log.read_text(encoding="utf-8", errors="replace").split("To see the GUI go to")[0]
    assert re.search(rf"\d seconds: \S*{PACK}\n", log)
    assert "IMPORT FAILED" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("version", ["comfyui", "oldest_comfyui"])
def test_two_copies_of_the_pack_start_and_act_as_one(
    version: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "custom_nodes" / "got").symlink_to(ROOT, target_is_directory=True)
    server = Server(request.getfixturevalue(version), tmp_path)
    try:
        scripts = [path for path in server.get_json("/extensions") if path.endswith("/got_chain_editor.js")]
        assert len(scripts) == 1
        assert set(NODES) <= server.get_json("/object_info").keys()
        assert server.get_json("/got/training/none") == {}
    finally:
        server.stop()
    (line,) = [line for line in server.log.read_text().splitlines() if "installed twice" in line]
    assert f"custom_nodes/{PACK}" in line and "custom_nodes/got" in line
