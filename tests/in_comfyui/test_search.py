"""What artists type into the page's node search, and the ready subgraph that it offers."""

from __future__ import annotations

import json

import pytest

from .browser import Frontend
from .conftest import SERVED
from .place import ROOT
from .server import PACK

WORDS = (
    *("layout", "boxes", "bounding box", "region", "regional", "plan", "prompt planner", "chain of thought"),
    *("omost", "ideogram", "edit image", "lora train", "dataset", "grounding", "mask"),
)
IN_NAMES = ("boxes", "bounding box", "edit image", "dataset", "mask")
"""Those that are found where the search knows names only: 1.27.10 has no aliases."""
BLUEPRINT = "Plan, edit and draw (GoT)"
PLAIN = {"nodes": [], "links": [], "version": 0.4, "last_node_id": 0, "last_link_id": 0}

# The page puts widely used nodes first: it loads which these are, and minds them only once it has searched.
SEARCH = """async (words) => {
    const stores = document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s;
    const { nodeSearchService } = stores.get('nodeDef');
    nodeSearchService.searchNode('mask');
    await stores.get('nodeFrequency').loadNodeFrequencies();
    const first = (word) => nodeSearchService.searchNode(word, [], { limit: 5 });
    const names = (word) => first(word).map((node) => [node.name, node.display_name]);
    return Object.fromEntries(words.map((word) => [word, names(word)]));
}"""
OPEN_SEARCH = "() => app.extensionManager.command.execute('Workspace.SearchBox.Toggle')"
PLACED = """() => app.graph.nodes.map((node) => ({
    title: node.title, image: node.inputs[0].name, inside: node.subgraph.nodes.map(({ type }) => type).sort(),
}))"""
ADDED = """() => {
    const kinds = Object.keys(LiteGraph.registered_node_types).filter((kind) => kind.startsWith('GoT'));
    return kinds.map((kind) => {
        const node = LiteGraph.createNode(kind);
        app.graph.add(node);
        return [kind, node.size[1], node.computeSize()[1]];
    });
}"""
FEW_STEPS = """() => {
    const [sampler] = app.graph.nodes[0].subgraph.nodes.filter(({ type }) => type === 'GoTSampler');
    sampler.widgets.find(({ name }) => name === 'steps').value = 1;
}"""


def test_what_artists_type_finds_a_node_of_ours_among_the_first_five(frontend: Frontend) -> None:
    words = WORDS if frontend.has_nodes_2 else IN_NAMES
    found = frontend.page.evaluate(SEARCH, words)
    others = {
        word: nodes
        for word, nodes in found.items()
        if not any(name.startswith("GoT") or display == BLUEPRINT for name, display in nodes)
    }
    assert others == {}


def test_a_node_that_is_added_is_tall_enough_for_all_that_it_shows(frontend: Frontend) -> None:
    frontend.load(PLAIN, "empty")
    added = frontend.page.evaluate(ADDED)
    assert len(added) > 10
    assert [kind for kind, height, needed in added if height < needed] == []


@pytest.mark.parametrize("frontend", [SERVED], indirect=True)
def test_the_search_places_a_ready_subgraph_that_runs(frontend: Frontend) -> None:
    offered = frontend.server.get_json("/global_subgraphs").values()
    assert [entry["name"] for entry in offered if entry["info"]["node_pack"].endswith(PACK)] == [BLUEPRINT]
    frontend.load(PLAIN, "empty")
    page = frontend.page
    page.evaluate(OPEN_SEARCH)
    page.get_by_role("combobox", name="Add a node").fill(BLUEPRINT)
    page.get_by_role("option", name=BLUEPRINT).click()
    canvas, place = page.locator("#graph-canvas"), {"x": 600, "y": 400}
    canvas.hover(position=place, force=True)  # the node hangs on the pointer and may lie here
    canvas.click(position=place)
    page.wait_for_function("() => app.graph.nodes.length === 1 && !app.graph.nodes[0].flags.ghost")
    (node,) = page.evaluate(PLACED)
    inside = ["GoTEditChain", "GoTModelLoader", "GoTReason", "GoTSSGMEncode", "GoTSampler"]
    assert node == {"title": BLUEPRINT, "image": "image", "inside": inside}
    page.evaluate(FEW_STEPS)
    run = frontend.run()
    assert run.error == ("", "")
    assert run.succeeded


def test_the_subgraph_says_what_it_does_and_is_found_by_what_artists_type() -> None:
    blueprint = json.loads((ROOT / "subgraphs" / f"{BLUEPRINT}.json").read_text(encoding="utf-8"))
    assert len(blueprint["nodes"]) == len(blueprint["definitions"]["subgraphs"]) == 1
    assert {"plan", "layout", "boxes", "edit image"} <= set(blueprint["extra"]["BlueprintSearchAliases"])
    assert blueprint["extra"]["BlueprintDescription"]
