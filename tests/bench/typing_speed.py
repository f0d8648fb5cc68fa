"""How long it takes from a keystroke to the editor's marks: real typing, replayed to a real `esp3c lsp`.

    python tests/bench/typing_speed.py                 recipes of 300 and 3,000 lines
    python tests/bench/typing_speed.py --edits 10000   also, how the server's memory grows with the edits

The recipe is the quick-start recipe with its Python, and variants of its training until it has so many lines. At places
all over it a line is typed letter by letter, a mistake is made and mended with backspace, and the line is taken out again.
After each keystroke the bench waits for the diagnostics of that version. The reference is what PyYAML needs in the same
run to read the YAML of the same recipe once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from esp3c.disk import DiskWorld
from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source

RECIPE = Path(__file__).parents[2] / "recipes" / "spoken_digits"
VARIANT = """
# Variant {0}: a model of another size, and another way to train it.
config wide{0} extends training {{
  model     = src.model.CTCRecognizer(n_mels = 80, hidden_size = {1}, vocab_size = 12)
  optimizer = torch.optim.AdamW(lr = {2}e-3, weight_decay = 1e-4)
  scheduler = torch.optim.lr_scheduler.OneCycleLR(max_lr = optimizer.lr, total_steps = 560)
  dataset {{
    train = [digits(split = "train") {{ transform = src.transforms.RandomGain(max_db = {3}) }}]
    valid = [digits(split = "valid")]
  }}
  trainer.max_epochs = {3}
  trainer.gradient_clip_val = 1.0
  new exp_tag = "wide{0}"
}}
"""
TYPED = "  new note = trainer.max_epochs\n"
WRONG = "  trainer.max_epoch = 3\n"


def recipe(lines: int) -> str:
    """The quick-start recipe with variants of its training, of about so many lines."""
    text = (RECIPE / "recipe.esp").read_text(encoding="utf-8")
    head, stages = text.split("stages {", 1)
    height = VARIANT.count("\n") + 1
    variants = range(max(1, (lines - text.count("\n")) // height))
    bodies = "".join(VARIANT.format(n, 64 + 2 * (n % 64), 1 + n % 5, 1 + n % 9) for n in variants)
    further = "".join(f"  train{n} requires wide{n} runs train\n" for n in variants)
    return head + bodies + "\nstages {" + stages.rstrip().removesuffix("}") + further + "}\n"


@dataclass
class Edit:
    """A keystroke: what is put in the place of `taken` characters at an offset."""

    at: int
    taken: int
    text: str


def keystrokes(text: str, count: int, seed: int = 1) -> Iterator[Edit]:
    """So many keystrokes, after which the text may be in the middle of a line."""
    choice, made = random.Random(seed), 0
    while made < count:
        places = [at for at in range(len(text)) if text.startswith("  trainer.gradient_clip_val", at)]
        at = choice.choice(places) if places else text.index("  trainer {")
        line = choice.choice([TYPED, WRONG])
        for letter in line:
            yield Edit(at, 0, letter)
            at += 1
            made += 1
        for _ in range(3):
            yield Edit(at - 1, 1, "")
            at -= 1
        for letter in line[-3:]:
            yield Edit(at, 0, letter)
            at += 1
        made += 6
        yield Edit(at - len(line), len(line), "")
        made += 1


@dataclass
class Session:
    """One server with one text open, and the time from each keystroke to its marks."""

    client: LanguageClient
    uri: str
    text: str
    version: int = 1
    taken: list[float] = field(default_factory=list)
    marks: dict[int, tuple[float, int]] = field(default_factory=dict)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def published(self, params: types.PublishDiagnosticsParams) -> None:
        self.marks[params.version or 0] = (time.perf_counter(), len(params.diagnostics))
        self.told.set()

    async def wait(self) -> tuple[float, int]:
        while self.version not in self.marks:
            self.told.clear()
            await asyncio.wait_for(self.told.wait(), 60)
        return self.marks.pop(self.version)

    async def press(self, edit: Edit) -> int:
        """Sends a keystroke and waits for its marks; how many there are."""
        before = self.text[: edit.at]
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        gone = self.text[edit.at : edit.at + edit.taken]
        end_line = line + gone.count("\n")
        end_column = len(gone) - gone.rfind("\n") - 1 if "\n" in gone else column + len(gone)
        span = types.Range(types.Position(line, column), types.Position(end_line, end_column))
        self.text = before + edit.text + self.text[edit.at + edit.taken :]
        self.version += 1
        begun = time.perf_counter()
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version),
                [types.TextDocumentContentChangePartial(span, edit.text)],
            )
        )
        ended, count = await self.wait()
        self.taken.append(ended - begun)
        return count


async def typed(lines: int, count: int) -> tuple[Session, int, list[tuple[int, int]]]:
    """Types into a recipe of so many lines: the session, the marks seen at most, and (edits, resident bytes) on the way."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "recipe"
        shutil.copytree(RECIPE, place, ignore=shutil.ignore_patterns("data", "exp", "conf", ".esp3c", "__pycache__"))
        path, text = place / "recipe.esp", recipe(lines)
        path.write_text(text, encoding="utf-8")
        client = LanguageClient("bench", "1")
        await client.start_io(sys.executable, "-m", "esp3c", "lsp")
        server = next(each for each in psutil.Process().children() if "lsp" in each.cmdline())
        session = Session(client, path.as_uri(), text)
        client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda params: session.published(params))
        await client.initialize_async(types.InitializeParams(capabilities=types.ClientCapabilities()))
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(session.uri, "esp", 1, text))
        )
        _, at_first = await session.wait()
        assert not at_first, "the recipe that is typed into has mistakes"
        most, memory, steps = 0, [], max(1, count // 10)
        for number, edit in enumerate(keystrokes(text, count)):
            if number == 20:
                session.taken.clear()
            most = max(most, await session.press(edit))
            if number % steps == 0:
                memory.append((number, server.memory_info().rss))
        await client.shutdown_async(None)
        client.exit(None)
        return session, most, memory


def reference(lines: int) -> float:
    """The seconds in which PyYAML reads what the recipe becomes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "recipe"
        shutil.copytree(RECIPE, place, ignore=shutil.ignore_patterns("data", "exp", "conf", ".esp3c", "__pycache__"))
        made = compile(Source("recipe.esp", recipe(lines)), DiskWorld(place), (), Layout("recipe.esp"))
    texts = [each.text for each in made.files if each.path.endswith(".yaml")]
    assert texts, [each.message for each in made.diagnostics]
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        for text in texts:
            yaml.safe_load(text)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def part(taken: list[float], percent: int) -> float:
    return statistics.quantiles(taken, n=100)[percent - 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="*", type=int, default=[300, 3000])
    parser.add_argument("--keys", type=int, default=300, help="keystrokes at each length (default: 300)")
    parser.add_argument("--edits", type=int, default=0, help="keystrokes for the memory")
    args = parser.parse_args()
    print(f"{'lines':>6} {'keys':>6} {'p50':>9} {'p95':>9} {'worst':>9} {'PyYAML':>9} {'p95/PyYAML':>11}")
    for lines in args.lines:
        session, most, _ = asyncio.run(typed(lines, args.keys))
        assert most, "no mistake was ever marked"
        once, taken = reference(lines), session.taken
        print(
            f"{session.text.count(chr(10)):>6} {len(taken):>6} {part(taken, 50) * 1000:>6.1f} ms {part(taken, 95) * 1000:>6.1f} ms"
            f" {max(taken) * 1000:>6.1f} ms {once * 1000:>6.1f} ms {part(taken, 95) / once:>11.2f}",
            flush=True,
        )
    if args.edits:
        _, _, memory = asyncio.run(typed(300, args.edits))
        print("memory:", ", ".join(f"{number} edits {size / 2**20:.0f} MiB" for number, size in memory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
