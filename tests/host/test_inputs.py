"""What the nodes say of themselves: inputs, languages, help; and what they refuse."""

import json
import re

import pytest
from graphs import known, segment_graph, show_mask
from server import PACK, GraphError

NODES = {
    "RefDiffSegment": "Ref-Diff Segment",
    "RefDiffAttention": "Ref-Diff Attention",
    "RefDiffSAMProposals": "SAM Proposals",
    "RefDiffCLIPScore": "CLIP Score",
    "RefDiffFuseMasks": "Fuse Masks",
    "RefDiffPick": "Ref-Diff Pick",
    "RefDiffCutOut": "Cut Out and Crop",
    "RefDiffLoadDemo": "Load Ref-Diff Demo Models",
    "RefDiffLoadSAM": "Load SAM",
    "RefDiffLoadCLIP": "Load CLIP for Scoring",
}


def test_all_nodes_are_there_and_every_input_says_what_it_is(server):
    info = server.get("/object_info")
    found = {name: each["display_name"] for name, each in info.items() if "RefDiff" in name}
    assert found == NODES
    for name in NODES:
        inputs = info[name]["input"]
        every = {**inputs.get("required", {}), **inputs.get("optional", {})}
        for key, spec in every.items():
            assert len(spec[1].get("tooltip", "")) > 15, (name, key)
        assert info[name]["category"].startswith("Ref-Diff")
        assert len(info[name]["description"]) > 60


def test_newer_words_of_the_schema_are_used_where_they_are_known(server):
    segment = server.get("/object_info")["RefDiffSegment"]
    if tuple(map(int, server.version.split(".")[:2])) < (0, 11):
        assert "search_aliases" not in segment
        return
    assert "text to mask" in segment["search_aliases"]


def test_rare_inputs_are_marked_on_every_host(server):
    segment = server.get("/object_info")["RefDiffSegment"]
    assert segment["input"]["required"]["size_exponent"][1]["advanced"] is True
    assert "advanced" not in segment["input"]["required"]["grow"][1]


@pytest.mark.parametrize(
    ("picks", "said"),
    [("99", "There is no candidate 99"), ("one", "no numbers"), ("1\n2", "2 entries")],
)
def test_picks_that_cannot_be_are_named(server, picks, said):
    case = known(server, 1)[0]
    graph, *_, segment, _ = segment_graph(case.name, case.text)
    pick = graph.add("RefDiffPick", candidates=segment[1], picks=picks)
    show_mask(graph, pick, 0)
    with pytest.raises(GraphError, match=said):
        server.run(graph.nodes)


def test_an_empty_text_is_refused_with_an_example(server):
    case = known(server, 1)[0]
    graph, *_ = segment_graph(case.name, "  \n ")
    with pytest.raises(GraphError, match="the red cup on the left"):
        server.run(graph.nodes)


@pytest.mark.parametrize(
    "loader, wanted", [("RefDiffLoadSAM", "sam_model"), ("RefDiffLoadCLIP", "refdiff_clip")]
)
def test_what_stands_in_an_empty_list_of_models_is_no_model(server, loader, wanted):
    case = known(server, 1)[0]
    graph, *_, segment, _ = segment_graph(case.name, case.text)
    kind, *about = server.get("/object_info")[loader]["input"]["required"]["file"]
    (only,) = kind if isinstance(kind, list) else about[0]["options"]
    rest = {"architecture": "from the file's name"} if loader == "RefDiffLoadCLIP" else {}
    segment.set(**{wanted: graph.add(loader, file=only, **rest)[0]})
    with pytest.raises(GraphError, match="No model is chosen: none lies in models"):
        server.run(graph.nodes)


LANGUAGES = sorted(path.parent.name for path in (PACK / "locales").glob("*/nodeDefs.json"))


def words_in(language):
    return json.loads((PACK / "locales" / language / "nodeDefs.json").read_text())


def inputs_of(spec):
    """Names and options of those that a node shows."""
    every = {**spec["input"].get("required", {}), **spec["input"].get("optional", {})}
    options = {name: (rest[0] if rest else {}) for name, (_, *rest) in every.items()}
    return {name: each for name, each in options.items() if not each.get("hidden")}


@pytest.mark.parametrize("node", NODES)
def test_inputs_are_called_as_people_say_and_figures_say_their_unit(server, node):
    spec = server.get("/object_info")[node]
    english = words_in("en").get(node, {}).get("inputs", {})
    shown = inputs_of(spec)
    assert set(english) <= set(shown)
    widgets = [name for name, each in shown.items() if "default" in each]
    said = [english.get(name, {}).get("name", name) for name in widgets]
    assert len({*said}) == len(said)
    assert not [each for each in said if "_" in each]
    units = r"pixel|from 0 to 1|of the picture|exponent|steps|points|cells|IoU|candidates|\[0, 1\]"
    for name in widgets:
        if name not in ("seed", "scene") and isinstance(shown[name]["default"], (int, float)):
            is_switch = isinstance(shown[name]["default"], bool)
            assert is_switch or re.search(units, shown[name]["tooltip"], re.I), name


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_every_language_names_all_nodes_inputs_and_outputs(server, language):
    named, info = words_in(language), server.get("/object_info")
    assert set(named) == set(NODES)
    for name, words in named.items():
        spec = info[name]
        inputs = {**spec["input"].get("required", {}), **spec["input"].get("optional", {})}
        assert words["display_name"] and words["description"]
        assert set(words["inputs"]) == set(inputs), name
        for key, (_, *options) in inputs.items():
            about = words["inputs"][key]
            assert about["name"]
            assert bool(about.get("tooltip")) == bool(options and options[0].get("tooltip")), key
        tooltips = spec.get("output_tooltips") or [None] * len(spec["output"])
        assert set(words["outputs"]) == {str(at) for at in range(len(tooltips))}, name
        for at, tooltip in enumerate(tooltips):
            assert bool(words["outputs"][str(at)].get("tooltip")) == bool(tooltip), (name, at)


def test_help_pages_are_served(server):
    for name in NODES:
        text = server.get(f"/extensions/refdiff/docs/{name}.md").decode()
        assert text.startswith("# ")
        for picture in re.findall(r"\((images/[^)]+)\)", text):
            assert server.get(f"/extensions/refdiff/docs/{picture}").startswith(b"\x89PNG")
