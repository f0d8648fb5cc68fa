"""Stages: checkpoints that are read before anything writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values
from esp3c.check.checkpoints import experiment_of, experiments, in_experiment, in_folder, is_trained, may_save
from esp3c.check.finding import Finding
from esp3c.check.machines import built_in
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import MapNode, Node, Recipe, Stage, Text
from esp3c.record import record
from esp3c.suggest import all_of
from esp3c.world import World


@explained("ESP0612", "a checkpoint is read before it is written", Severity.WARNING)
@needs_whole_file
def checkpoint_read_early(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A model begins with the checkpoint of a training that runs later, or with its own.

        training { model = load_pretrained(model = src.model.Reader(), checkpoint = "${exp_dir}/last.ckpt") }

    The first run ends there, since nothing has written the file yet. Name the checkpoint of another training, as
    `"${recipe_dir}/exp/base/last.ckpt"`, and let that one run before. A training that was interrupted goes on with its own
    `last.ckpt` without being told.
    """
    for finding in _read_early(recipe, world):
        yield finding.said(code_of(checkpoint_read_early))


def _read_early(recipe: Recipe, world: World) -> Iterator[Finding]:
    tags = experiments(recipe)
    written: dict[str, int] = {}
    for place, stage in enumerate(recipe.stages):
        if built_in(stage) == "train":
            for config in (recipe.configs[name] for name in stage.needs if name in recipe.configs):
                written.setdefault(experiment_of(recipe, config) or "", place)
    found: dict[tuple[int, int], _Early] = {}
    for place, stage in enumerate(recipe.stages):
        for config in (recipe.configs[name] for name in stage.needs if name in recipe.configs):
            if built_in(stage) not in {"train", "infer"} or config.kind not in {"training", "inference"}:
                continue
            model = config.root.get("model")
            own = experiment_of(recipe, config) if config.kind == "training" else None
            for node in _read(model) if model is not None else ():
                folder, name = in_folder(node) if isinstance(node, Text) else ("", "")
                tag, left = (own, name) if folder == "exp_dir" and name else in_experiment(recipe, config.root, node)
                writer = written.get(tag or "") if tag in tags and is_trained(left) else None
                if writer is None or writer < place or (writer == place and built_in(stage) != "train"):
                    continue
                early = found.setdefault((id(node), writer), _Early(node, recipe.stages[writer], left, []))
                early.readers.append(stage)
    for early in found.values():
        # A stage of one's own may have fetched the file.
        if not may_save(recipe, world, early.name):
            yield early.finding()


_SAVES = re.compile(r"sav|writ|(?:^|_)out|export|dump|store|_to$|target")
"""What stands in the name of an argument that says where something is put."""


def _read(model: Node) -> Iterator[Node]:
    """The values of a model that may name what is read."""
    put = {
        id(each)
        for block in all_values(model)
        for entry in (block.entries if isinstance(block, MapNode) else ())
        if _SAVES.search(entry.name.lower())
        for each in all_values(entry.value)
    }
    return (node for node in all_values(model) if id(node) not in put)


@record
class _Early:
    """A checkpoint that is read too early: where it is named, which stage writes it, and those that read it."""

    node: Node
    maker: Stage
    name: str
    readers: list[Stage]

    def finding(self) -> Finding:
        maker = self.maker.name
        others = [stage for stage in self.readers if stage is not self.maker]
        if not others:
            message = f"`{maker}` would begin with the checkpoint that it writes itself"
            return Finding(message, Label(self.node.span, "name the checkpoint of another training"))
        names = all_of([stage.name for stage in others])
        message = (
            f"{names} {'reads' if len(others) == 1 else 'read'} a checkpoint that `{maker}` writes, which runs later"
        )
        because = [Label(self.maker.name_span, f"put it before `{others[0].name}`")]
        because += [Label(stage.name_span, "and this reads it too") for stage in others[1:]]
        return Finding(message, Label(self.node.span, f"this is in the folder of `{maker}`"), tuple(because))
