"""How fast a recipe is checked, against `yaml.safe_load` of the same content in the same run, and how it grows.

    python tests/bench/check_speed.py            2,500, 5,000 and 10,000 lines
    python tests/bench/check_speed.py 500 1000   other lengths

Prints lines per second of both, their ratio, and how much longer twice the lines take: about 2 is linear.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source
from support.fixtures import WORLD

RUNS = 5

HEAD = """\
recipe long { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "long"  seed = 1 }

let hidden = 192

dataset digits { class = dataset.dataset.SpokenDigits }

training {
  dataset { train = [digits(split = "train")]  valid = [digits(split = "valid")] }
  model     = src.model.CTCRecognizer(hidden_size = hidden)
  optimizer = torch.optim.AdamW(lr = 1e-3)
}

stages {
  train
"""

CONFIG = """\
config export_{0} {{
  opset     = 17                                   # one of many
  path      = "${{exp_dir}}/model_{0}.onnx"
  width     = hidden
  rate      = training.optimizer.lr
  shape     = [1, 80, width]
  model     = src.model.CTCRecognizer(hidden_size = width, rate = rate, name = "export {0}")
  limits {{
    time    = 90min
    memory  = 16GiB
    nested {{ deep = limits.time  flag = true  none = null }}
  }}
  text      = "some text, ${{opset}} and ${{limits.memory}}"
}}
"""


def recipe(lines: int) -> str:
    """A correct recipe of about so many lines, with everything that costs time in it."""
    count = max(1, (lines - HEAD.count("\n") - 2) // (CONFIG.count("\n") + 1))
    stages = "".join(f"  export_{n}_now  requires training, export_{n}  runs src.stages.export_onnx\n" for n in range(count))
    return HEAD + stages + "}\n" + "".join(CONFIG.format(n) for n in range(count))


def median(function: Callable[[], Any]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(lengths: list[int]) -> None:
    before: tuple[int, float] | None = None
    for length in lengths:
        text = recipe(length)
        lines = text.count("\n")
        source = Source("recipe.esp", text)
        built = compile(source, WORLD, layout=Layout("recipe.esp"))
        assert not built.diagnostics, built.diagnostics[:3]
        contents = [each.text for each in built.files if each.path.endswith(".yaml")]
        yaml_lines = sum(each.count("\n") for each in contents)
        # A fresh source each time, so that nothing is kept from one run to the next.
        took = median(lambda text=text: compile(Source("recipe.esp", text), WORLD))
        reference = median(lambda contents=contents: [yaml.safe_load(each) for each in contents])
        ours, theirs = lines / took, yaml_lines / reference
        growth = "" if before is None else f"   {took / before[1]:.2f} x the time of {before[0]} lines"
        print(f"{lines:>6} lines  check {took:.3f} s  {ours:>8,.0f} lines/s   ", end="")
        print(f"yaml.safe_load {theirs:>8,.0f} lines/s   ratio {ours / theirs:.2f}{growth}")
        before = lines, took


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [2500, 5000, 10000])
