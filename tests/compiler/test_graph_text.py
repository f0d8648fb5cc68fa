"""No text of a recipe leaves its place in SVG, DOT or Mermaid, and none is lost."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.graph.dot import render_dot
from esp3c.graph.layout import shortened
from esp3c.graph.mermaid import render_mermaid
from esp3c.graph.model import Graph, graph_of
from esp3c.graph.svg import render_svg
from support.fixtures import compile_text

SVG = "{http://www.w3.org/2000/svg}"

WORDS = [
    "<b>",
    "]]>",
    "-->",
    "&amp;",
    '"];',
    "%%{init: {}}%%",
    "`",
    "$$",
    "#quot;",
    "\\n",
    "\\",
    "|",
    "end",
    "<!--",
    "\u202e",
]
nasty = st.lists(st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=("Cs",)), max_size=4), max_size=5)


def literal(text: str) -> str:
    """A text as it is written in a recipe."""
    plain = "".join(
        char if char.isalnum() or char in " -<>&;%#|[]()" else f"\\u{{{ord(char):x}}}" for char in text if char != "\0"
    )
    return f'"{plain}"'


def nasty_graph(tag: str, partition: str) -> Graph:
    text = (
        f"recipe r {{ system = espnet3.systems.asr.system.ASRSystem  exp_tag = {literal(tag)} }}\n"
        "dataset 名前 { source = " + literal(tag) + " }\n"
        "training { dataset { train = [名前()] } model = src.model.CTCRecognizer() }\n"
        'inference { model = src.inference.Recognizer(checkpoint = "${exp_dir}/last.ckpt") }\n'
        f"parallel gpu = slurm(partition = {literal(partition)}, n_workers = 1)\n"
        "stages { train on gpu  infer }\n"
    )
    return graph_of(compile_text(text).recipe)


@settings(max_examples=80, deadline=None)
@given(nasty.map("".join), nasty.map("".join))
def test_any_text_stays_in_its_place(tag: str, partition: str) -> None:
    graph = nasty_graph(tag, partition)
    lines = [line for node in graph.nodes for line in (node.name, *node.details)]

    shown = Counter(element.text for element in ElementTree.fromstring(render_svg(graph)).iter(f"{SVG}text"))
    for line in lines:
        assert shown[shortened(line, 44)] or shown[shortened(line, 100)], line

    assert [char for line in lines for char in line if not char.isprintable()] == []
    dot = render_dot(graph)
    assert dot_labels(dot)[: len(graph.nodes)] == ["\n".join((node.name, *node.details)) for node in graph.nodes]
    mermaid = render_mermaid(graph).splitlines()
    assert mermaid_labels(mermaid) == ["\n".join((node.name, *node.details)) for node in graph.nodes]


def dot_labels(dot: str) -> list[str]:
    """The labels of a DOT text's nodes as Graphviz would show them; fails where a line is not of the form that it should be."""
    found = []
    quoted = r'"(?:[^"\\]|\\.)*"'
    for line in dot.splitlines()[4:-1]:
        node = re.fullmatch(
            rf'  n\d+ \[label=({quoted}), shape=\w+(?:, style="filled,rounded")?, fillcolor="#\w+"\];', line
        )
        edge = re.fullmatch(rf"  n\d+ -> n\d+(?: \[(?:(?:\w+=[\w.]+|label={quoted})(?:, )?)+\])?;", line)
        rank = re.fullmatch(r"  \{ rank=same; (?:n\d+(?:; )?)+; \}", line)
        assert node or edge or rank, line
        if node:
            text = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], node[1][1:-1])
            found.append(text.replace("&amp;", "&"))
            assert "&" not in text.replace("&amp;", "")
    return found


def mermaid_labels(lines: list[str]) -> list[str]:
    found = []
    for line in lines[2:]:
        node = re.fullmatch(r'  n\d+[\[(/]+"([^"`$%&<>{}|\\]*(?:<br/>[^"`$%&<>{}|\\]*)*)"[\])/]+:::\w+', line)
        edge = re.fullmatch(r'  n\d+ (?:==>|-->|-\.->)(?:\|"[^"`$%&<>{}|\\]*"\|)? n\d+', line)
        style = re.fullmatch(r"  classDef \w+ [\w:#,]+", line)
        assert node or edge or style, line
        if node:
            found.append(re.sub(r"#(\d+);", lambda match: chr(int(match[1])), node[1].replace("<br/>", "\n")))
    return found
