"""Stages: checkpoints that are read before anything writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.blocks import all_values
from esp3c.check.checkpoints import experiments, in_experiment, in_folder, tag_of
from esp3c.check.finding import Finding
from esp3c.check.machines import built_in
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import Recipe, Text
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
    for finding in _read_early(recipe):
        yield finding.said(code_of(checkpoint_read_early))


def _read_early(recipe: Recipe) -> Iterator[Finding]:
    tags = experiments(recipe)
    written: dict[str, int] = {}
    for place, stage in enumerate(recipe.stages):
        if built_in(stage) == "train":
            for config in (recipe.configs[name] for name in stage.needs if name in recipe.configs):
                written.setdefault(tag_of(recipe, config) or "", place)
    for place, stage in enumerate(recipe.stages):
        for config in (recipe.configs[name] for name in stage.needs if name in recipe.configs):
            if built_in(stage) not in {"train", "infer"} or config.kind not in {"training", "inference"}:
                continue
            model = config.root.get("model")
            own = tag_of(recipe, config) if config.kind == "training" else None
            for node in all_values(model) if model is not None else ():
                folder, name = in_folder(node) if isinstance(node, Text) else ("", "")
                tag = own if folder == "exp_dir" and name else in_experiment(node)[0]
                writer = written.get(tag or "") if tag in tags else None
                if writer is None or writer < place or (writer == place and built_in(stage) != "train"):
                    continue
                maker = recipe.stages[writer]
                if writer == place:
                    message = f"`{stage.name}` would begin with the checkpoint that it writes itself"
                    yield Finding(message, Label(node.span, "name the checkpoint of another training"))
                else:
                    message = f"`{stage.name}` reads a checkpoint that `{maker.name}` writes, which runs later"
                    label = Label(node.span, f"this is in the folder of `{maker.name}`")
                    yield Finding(message, label, (Label(maker.name_span, f"put it before `{stage.name}`"),))
