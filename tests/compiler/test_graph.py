"""Graphs: they say what the recipe says, and no line crosses a box."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.graph.dot import render_dot
from esp3c.graph.flow import Reader, datasets_used, products
from esp3c.graph.folders import folder
from esp3c.graph.layout import Box, Drawing, columns, lay_out, shortened
from esp3c.graph.mermaid import render_mermaid
from esp3c.graph.model import Kind, Relation, graph_of
from esp3c.graph.svg import render_svg
from esp3c.ir import Recipe
from esp3c.schema.blocks import CONFIGS
from esp3c.schema.stages import KNOWN_STAGES, SYSTEMS
from esp3c.schema.types import Block, Either, Inside
from support.fixtures import FIXTURES, compile_text, matches_snapshot

RECIPES = [
    FIXTURES / "graph" / "twelve_stages.esp",
    FIXTURES / "graph" / "odd_names.esp",
    FIXTURES / "ok" / "whole_language.esp",
    FIXTURES / "ok" / "as_pasted_from_yaml.esp",
]
RENDERERS = {"svg": render_svg, "dot": render_dot, "mmd": render_mermaid}
SVG = "{http://www.w3.org/2000/svg}"


def recipe_of(path: Path) -> Recipe:
    recipe = compile_text(path.read_text(encoding="utf-8")).recipe
    assert recipe.facts == ()
    return recipe


def name_of(path: Path) -> str:
    return path.stem


# -- as the recipe says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_the_graph_agrees_with_the_recipe(path: Path) -> None:
    recipe = recipe_of(path)
    graph = graph_of(recipe)

    def names(kind: Kind) -> list[str]:
        return sorted(node.name for node in graph.of(kind))

    assert names(Kind.STAGE) == sorted(stage.name for stage in recipe.stages)
    assert names(Kind.CONFIG) == sorted(recipe.configs)
    assert names(Kind.DATASET) == sorted(recipe.datasets)
    assert names(Kind.MACHINE) == sorted(recipe.parallels)
    assert len(graph.of(Kind.FILES)) == len(products(recipe))

    edges = {(edge.source, edge.target, edge.relation) for edge in graph.edges}
    assert len(edges) == len(graph.edges)
    needed = {(f"config:{n}", f"stage:{s.name}", Relation.REQUIRED_BY) for s in recipe.stages for n in s.needs}
    on = {(f"stage:{s.name}", f"machine:{s.on.name}", Relation.ON) for s in recipe.stages if s.on is not None}
    used = {
        (f"dataset:{n}", f"config:{c.name}", Relation.USED_BY)
        for c in recipe.configs.values()
        for n in datasets_used(c)
    }
    extended = {
        (f"config:{c.extends}", f"config:{c.name}", Relation.EXTENDED_BY) for c in recipe.configs.values() if c.extends
    }
    order = {(f"stage:{a.name}", f"stage:{b.name}", Relation.NEXT) for a, b in pairwise(recipe.stages)}
    assert needed | on | used | extended | order <= edges
    rest = edges - needed - on - used - extended - order
    assert {relation for _, _, relation in rest} <= {Relation.WRITES, Relation.READ_BY, Relation.ON}

    ids = Counter(node.id for node in graph.nodes)
    assert set(ids.values()) <= {1}
    assert {end for edge in graph.edges for end in (edge.source, edge.target)} <= set(ids)


def test_what_flows() -> None:
    recipe = recipe_of(RECIPES[0])
    found = {(each.writer, each.what): each for each in products(recipe)}

    assert found["train_easy", "checkpoints"].path == "exp/easy/*.ckpt"
    assert found["train_easy", "checkpoints"].readers == ()
    # Only what a config names is read, and only by stages that come later.
    named = [(each.stage, each.files) for each in found["train", "checkpoints"].readers]
    assert named == [
        ("infer", ("last.ckpt",)),
        ("export_onnx", ("valid.loss.ave_1best.pth",)),
        ("pack_model", ()),
    ]
    assert found["infer", "outputs"].readers == (Reader("measure", "outputs"),)
    assert [each.stage for each in found["collect_stats", "shapes and statistics"].readers] == [
        "train_easy", "train_tuned", "train",
    ]  # fmt: skip
    assert found["create_dataset", "data"].names == "digits, more, noise"
    assert "label_all" in [each.stage for each in found["create_dataset", "data"].readers]
    assert "measure" not in [each.stage for each in found["create_dataset", "data"].readers]


def test_statistics_are_read_only_where_batches_are_cut_by_length() -> None:
    text = RECIPES[0].read_text(encoding="utf-8").replace("batch_bins = 800_000", "batch_size = 4")
    found = {each.writer: each for each in products(compile_text(text).recipe)}

    assert found["collect_stats"].readers == ()


def test_a_second_training_into_the_same_folder_takes_the_files_over() -> None:
    recipe = compile_text(
        'recipe r { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "t" }\n'
        "training { model = src.model.CTCRecognizer() }\n"
        "config later extends training { model = src.model.CTCRecognizer(hidden_size = 3) }\n"
        'inference { model = src.inference.Recognizer(checkpoint = "${exp_dir}/last.ckpt") }\n'
        "stages { train  train_again requires later runs train  infer }\n"
    ).recipe

    readers = {each.writer: [reader.stage for reader in each.readers] for each in products(recipe)}
    assert readers["train"] == []
    assert readers["train_again"] == ["infer"]


@pytest.mark.parametrize(
    "config, key, expected",
    [
        ("training", "exp_dir", "exp/big"),
        ("training", "stats_dir", "exp/stats"),
        ("training", "tokenizer.save_path", "data/tokenizer"),
        ("training_easy", "exp_dir", "exp/easy"),
        ("training_tuned", "exp_dir", "exp/tuned"),
        ("inference", "exp_dir", "exp/big"),
        ("metrics", "inference_dir", "exp/big/inference"),
        ("export", "exp_dir", "exp/big"),
        ("training", "tokenizer.nothing", "${training.tokenizer.nothing}"),
    ],
)
def test_folders_are_those_that_a_run_uses(config: str, key: str, expected: str) -> None:
    assert folder(recipe_of(RECIPES[0]), config, key) == expected


def test_without_a_tag_the_experiment_is_called_after_its_config() -> None:
    recipe = compile_text(
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\ntraining { }\ninference { }\n"
    ).recipe

    assert folder(recipe, "inference", "inference_dir") == "exp/training/inference"


def test_what_only_a_run_knows_stays_as_it_is_written() -> None:
    recipe = recipe_of(RECIPES[1])

    assert folder(recipe, "training", "exp_dir") == '${oc.env:EXP,exp}/a \\ " b'
    assert [each.readers[0].files for each in products(recipe) if each.writer == "train"] == [("last.ckpt",)]


def test_some_stages_with_what_they_need_read_and_leave() -> None:
    graph = graph_of(recipe_of(RECIPES[0]), ["infer", "measure"])

    assert [node.name for node in graph.of(Kind.STAGE)] == ["infer", "measure"]
    assert {node.name for node in graph.of(Kind.CONFIG)} == {"inference", "metrics"}
    assert {node.name for node in graph.of(Kind.DATASET)} == {"digits", "more"}
    assert {node.name for node in graph.of(Kind.MACHINE)} == {"gpu"}
    assert {node.name for node in graph.of(Kind.FILES)} == {"data", "tokenizer", "checkpoints", "outputs", "scores"}
    ids = {node.id for node in graph.nodes}
    assert all(edge.source in ids and edge.target in ids for edge in graph.edges)


# -- the data that it stands on -----------------------------------------------------------------------------------------


def test_the_folders_of_stages_are_keys_that_exist() -> None:
    for stage in KNOWN_STAGES.values():
        for place in (*stage.makes_data, *stage.reads_data, *(f.folder for f in (*stage.reads_files, *stage.writes))):
            config, *keys = place.split(".")
            assert config in stage.requires or place in stage.makes_data, place
            block: Block | None = CONFIGS[config]
            for key in keys:
                found = block.key(key) if block is not None else None
                assert found is not None, place
                options = found.type.options if isinstance(found.type, Either) else (found.type,)
                block = next((each.block for each in options if isinstance(each, Inside)), None)


def test_every_file_that_is_read_is_one_that_is_written() -> None:
    written = {
        (files.folder.split(".", 1)[1], files.names) for stage in KNOWN_STAGES.values() for files in stage.writes
    }
    for stage in KNOWN_STAGES.values():
        for files in stage.reads_files:
            assert (files.folder.split(".", 1)[1], files.names) in written


def test_every_stage_that_is_known_is_one_of_the_framework() -> None:
    """It is there, and asks for its config."""
    from espnet3.utils.errors import ConfigError

    for path, stages in SYSTEMS.items():
        module, _, name = path.rpartition(".")
        system = getattr(__import__(module, fromlist=[name]), name)
        for stage in stages:
            with pytest.raises(ConfigError):
                getattr(system(), stage.name)()


# -- the pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECIPES[:2], ids=name_of)
@pytest.mark.parametrize("form", RENDERERS)
def test_a_picture_is_as_its_snapshot(path: Path, form: str) -> None:
    shown = RENDERERS[form](graph_of(recipe_of(path)))

    assert matches_snapshot(path.with_suffix(f".{form}"), shown), "run with UPDATE_SNAPSHOTS=1 and look at the picture"


def texts_of(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return [element.text or "" for element in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_svg_is_xml_and_shows_every_name(path: Path) -> None:
    graph = graph_of(recipe_of(path))
    svg = render_svg(graph)

    texts = Counter(texts_of(svg))
    for node in graph.nodes:
        assert texts[shortened(node.name, 44)] >= 1
    root = ElementTree.fromstring(svg)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == f"The recipe {graph.title}"
    assert description is not None and all(stage.name in (description.text or "") for stage in graph.of(Kind.STAGE))
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    # Nothing that runs, and nothing from elsewhere.
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "style", "rect", "g", "path", "text",
    }  # fmt: skip
    assert "prefers-color-scheme: dark" in svg


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_text_stays_inside_its_box(path: Path) -> None:
    root = ElementTree.fromstring(render_svg(graph_of(recipe_of(path))))

    boxes = list(root.iter(f"{SVG}g"))
    assert boxes
    for group in boxes:
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        left, top, width, height = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
        for text in group.iter(f"{SVG}text"):
            x, y, length = (float(text.get(key, "nan")) for key in ("x", "y", "textLength"))
            assert left < x and x + length <= left + width
            assert top < y - 8 and y + 2 < top + height


def crosses(box: Box, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether a level or upright line runs through the inside of a box."""
    low_x, high_x = sorted((start[0], end[0]))
    low_y, high_y = sorted((start[1], end[1]))
    inside_x = low_x < box.right - 0.5 and high_x > box.x + 0.5
    inside_y = low_y < box.bottom - 0.5 and high_y > box.y + 0.5
    return inside_x and inside_y


def check_drawing(drawing: Drawing) -> None:
    for number, box in enumerate(drawing.boxes):
        assert box.x >= 0 and box.right <= drawing.width
        assert box.y >= 0 and box.bottom <= drawing.height
        for other in drawing.boxes[number + 1 :]:
            apart = box.right <= other.x or other.right <= box.x or box.bottom <= other.y or other.bottom <= box.y
            assert apart, (box.node, other.node)
    boxes = {box.node.id: box for box in drawing.boxes}
    for wire in drawing.wires:
        first, last = wire.points[0], wire.points[-1]
        assert touches(boxes[wire.edge.source], first) and touches(boxes[wire.edge.target], last), wire
        for start, end in pairwise(wire.points):
            assert start[0] == end[0] or start[1] == end[1]
            for box in drawing.boxes:
                assert not crosses(box, start, end), (wire.edge, box.node)


def touches(box: Box, point: tuple[float, float]) -> bool:
    x, y = point
    at_side = abs(x - box.x) < 0.1 or abs(x - box.right) < 0.1
    at_end = abs(y - box.y) < 0.1 or abs(y - box.bottom) < 0.1
    return (at_side and box.y <= y <= box.bottom) or (at_end and box.x <= x <= box.right)


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_no_line_crosses_a_box(path: Path) -> None:
    recipe = recipe_of(path)
    drawing = lay_out(graph_of(recipe))

    check_drawing(drawing)
    # A machine is named in the box of what runs on it; all else is a line.
    lines = [edge for edge in graph_of(recipe).edges if edge.relation is not Relation.ON]
    assert len(drawing.wires) == len(lines)
    for number in range(len(recipe.stages)):
        check_drawing(lay_out(graph_of(recipe, [stage.name for stage in recipe.stages[number : number + 2]])))


@st.composite
def recipes(draw: st.DrawFn) -> str:
    """Recipes with any number of everything, and stages that need any of the configs."""
    datasets = draw(st.integers(0, 3))
    configs = draw(st.integers(0, 5))
    lines = ["recipe r { system = espnet3.systems.asr.system.ASRSystem }"]
    lines += [f'dataset d{n} {{ source = "d{n}/asr" }}' for n in range(datasets)]
    for number in range(configs):
        base = f"extends c{draw(st.integers(0, number - 1))} " if number and draw(st.booleans()) else ""
        uses = [f"d{n}(a = 1)" for n in range(datasets) if draw(st.booleans())]
        lines.append(f"config c{number} {base}{{ {'new ' if base else ''}k{number} = [{', '.join(uses)}] }}")
    built_in = ["create_dataset", "train_tokenizer", "collect_stats", "train", "infer", "measure"]
    lines += ['training { dataset { train = [d0()] } tokenizer { save_path = "${data_dir}/t" } }'] if datasets else []
    lines += ['inference { model = src.model.CTCRecognizer(c = "${exp_dir}/last.ckpt") }', "metrics { }"]
    stages = []
    for number in range(draw(st.integers(0, 9))):
        if draw(st.booleans()) and built_in:
            stages.append(built_in.pop(0))
            continue
        needs = [f"c{n}" for n in range(configs) if draw(st.booleans())]
        clause = f"requires {', '.join(needs)} " if needs else ""
        stages.append(f"go_{number} {clause}runs src.stages.export_onnx")
    return "\n".join([*lines, f"stages {{ {'  '.join(stages)} }}", ""])


@settings(max_examples=60, deadline=None)
@given(recipes())
def test_no_line_crosses_a_box_in_any_recipe(text: str) -> None:
    check_drawing(lay_out(graph_of(compile_text(text).recipe)))


def test_a_recipe_without_stages_is_drawn_too() -> None:
    graph = graph_of(compile_text("recipe empty { }").recipe)

    assert texts_of(render_svg(graph)) == []
    assert render_mermaid(graph).startswith("flowchart LR")


def test_the_width_of_a_text_counts_wide_characters_twice() -> None:
    assert columns("aé") == 2
    assert columns("音声") == 4
    assert shortened("音声認識", 5) == "音声…"
    assert shortened("abcde", 5) == "abcde"


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_graphviz_reads_what_is_written(path: Path) -> None:
    graph = graph_of(recipe_of(path))
    done = subprocess.run(["dot", "-Tsvg"], input=render_dot(graph), capture_output=True, text=True, timeout=60)

    assert done.returncode == 0 and done.stderr == ""
    shown = Counter(text.replace("\xa0", " ") for text in texts_of(done.stdout))
    assert all(shown[node.name] for node in graph.nodes)
