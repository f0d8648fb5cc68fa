"""How fast a recipe is checked, against `yaml.safe_load` on the same content in the same run.

    python tests/bench/check_speed.py            recipes of 2,500, 5,000 and 10,000 lines
    python tests/bench/check_speed.py 500 1000   of other lengths

Three answers: lines a second of `compile` and of PyYAML; how the time grows when a recipe doubles (2.0 is linear); and what
`esp3c check` costs from a cold start, against `python -c pass`. Each number is the median of several runs.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld

CLASS = "class {0}:\n    def __init__(self, **kwargs): ...\n"
DATA = CLASS.format("Data") + "    def __len__(self): ...\n    def __getitem__(self, index): ...\n"
BUILDER = "class Builder:\n" + "".join(
    f"    def {name}(self, **kwargs): ...\n" for name in ("is_source_prepared", "prepare_source", "is_built", "build")
)
WORLD = MemoryWorld(
    {
        "espnet3.systems.base.system": "class BaseSystem: ...\n",
        "espnet3.systems.asr.system": "from espnet3.systems.base.system import BaseSystem\nclass ASRSystem(BaseSystem): ...\n",
        "src.model": CLASS.format("Model") + CLASS.format("Transform"),
        "src.data": DATA + BUILDER,
        "src.stages": "def go_on(one_config): ...\n",
        "torch.optim": CLASS.format("AdamW"),
    }
)

HEAD = """\
recipe speed {
  system  = espnet3.systems.asr.system.ASRSystem
  exp_tag = "speed"
  seed    = 1
}
parallel here = local(n_workers = 2)
"""

UNIT = """
# The part number {0} of a recipe that has everything.
let rate{0}  = 16kHz
let words{0} = ["one", "two", "three", "four"]

dataset data{0} {{
  class   = src.data.Data
  builder = src.data.Builder(sample_rate = rate{0}, words = words{0})
  sample {{
    utt_id: str
    speech: float32[time]
  }}
}}

config part{0} {{
  dataset {{ train = [data{0}(split = "train") {{ transform = src.model.Transform(max_db = 6) }}] }}
  model   = src.model.Model(
    size   = 192,
    half   = size,
    layers = {{ width = size  depth = [1, 2.5, -3e-4, null, true] }},
    words  = words{0},
    path   = "${{exp_dir}}/part{0}/${{size}}.ckpt",
  )
  optimizer = torch.optim.AdamW(lr = 1e-3, betas = [0.9, 0.98], again = lr)
  trainer {{
    max_epochs = {0}
    accelerator = "auto"
    time = 90min
  }}
  "a key in quotes" = "text with \\"quotes\\", a \\\\ and $${{braces}}"
}}

config half{0} extends part{0} {{
  trainer.max_epochs = 1
  optimizer {{ lr = 2e-3 }}
  new note = \"""
    A text of several lines
      about part {0}.
    \"""
}}
"""


def recipe(lines: int) -> str:
    """A recipe of about so many lines."""
    unit = UNIT.count("\n")
    parts = max(1, (lines - HEAD.count("\n")) // (unit + 1))
    stages = "".join(f"  go_on{n} requires half{n} runs src.stages.go_on on here\n" for n in range(parts))
    return HEAD + "".join(UNIT.format(n) for n in range(parts)) + f"stages {{\n{stages}}}\n"


def seconds(action: Callable[[], object], times: int, clock: Callable[[], float] = time.process_time) -> float:
    """The median time of an action, without the pauses of the collector; by default that of this process alone."""
    taken: list[float] = []
    # What was there before is not looked at again: in a process with much in it that would take the longest.
    gc.freeze()
    for _ in range(times):
        gc.collect()
        gc.disable()
        try:
            begun = clock()
            action()
            taken.append(clock() - begun)
        finally:
            gc.enable()
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Measured:
    """One length: lines of the recipe and of its YAML, seconds to check, to build and to load the YAML."""

    lines: int
    yaml_lines: int
    check: float
    build: float
    load: float


def measure(lines: int, times: int = 5) -> Measured:
    """Checks a recipe of so many lines, and loads the YAML that comes of it.

    Raises:
        RuntimeError: the recipe has an error, so that nothing comes of it.
    """
    source = Source("recipe.esp", recipe(lines))
    made = compile(source, WORLD, (), Layout("recipe.esp"))
    if not made.ok:
        raise RuntimeError(f"the recipe that is measured has errors: {made.diagnostics[0].message}")
    texts = [each.text for each in made.files if each.path.endswith(".yaml")]

    check = seconds(lambda: compile(source, WORLD), times)
    build = seconds(lambda: compile(source, WORLD, (), Layout("recipe.esp")), max(1, times // 2))
    load = seconds(lambda: [yaml.safe_load(text) for text in texts], max(1, times // 2))
    return Measured(source.line_count, sum(text.count("\n") for text in texts), check, build, load)


def cold_start(times: int = 7) -> tuple[float, float]:
    """Seconds of `python -c pass` and of `esp3c check` on a small recipe, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.esp"
        path.write_text(
            "recipe small { system = espnet3.systems.asr.system.ASRSystem }\nstages { }\n", encoding="utf-8"
        )
        # What the cache saves is measured in startup.py.
        uncached = {**os.environ, "ESP3C_NO_CACHE": "1"}
        nothing = [sys.executable, "-c", "pass"]
        check = [sys.executable, "-m", "esp3c.cli.main", "check", str(path)]
        return (
            seconds(lambda: subprocess.run(nothing, check=True), times, time.perf_counter),
            seconds(
                lambda: subprocess.run(check, check=True, stdout=subprocess.DEVNULL, env=uncached),
                times,
                time.perf_counter,
            ),
        )


def main(arguments: Sequence[str]) -> int:
    found = [measure(int(each)) for each in arguments or ("2500", "5000", "10000")]
    print(f"{'recipe':>12} {'check':>9} {'':>16} {'build':>9} {'yaml.safe_load':>16} {'of the YAML':>18}")
    for each in found:
        print(
            f"{each.lines:>6} lines {each.check:>8.3f}s {each.lines / each.check:>10,.0f} lines/s"
            f" {each.build:>8.3f}s {each.load:>15.3f}s {each.yaml_lines / each.load:>9,.0f} lines/s"
        )
    for small, large in itertools.pairwise(found):
        growth = large.lines / small.lines
        print(
            f"{large.lines} lines take {large.check / small.check:.2f} times as long as {small.lines} ({growth:.2f} times as many)"
        )
    nothing, check = cold_start()
    print(f"cold: `python -c pass` {nothing * 1000:.0f} ms, `esp3c check` {check * 1000:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
