"""The flow of the data: correct recipes in many manners get no diagnostic, and a mistake is said once, with its links."""

from __future__ import annotations

import pytest

from esp3c.check.flow import flow_of, proved_links, unchecked_links
from esp3c.diagnostics import Diagnostic
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES

RECIPE = """
recipe r {{ system = espnet3.systems.asr.system.ASRSystem }}
dataset digits {{ class = my.data.Data{sample} }}
training {{
  dataset {{
    train = [digits(split = "train"){entry}]
    valid = [digits(split = "valid")]
    {training}
  }}
  {dataloader}
  model     = my.model.Model()
  optimizer = torch.optim.AdamW()
}}
inference {{
  dataset {{ test {{ seen = digits(split = "test") }} }}
  model     = my.infer.Recognizer()
  input_key = "speech"
  output_fn = my.infer.build_output
  {inference}
}}
metrics {{ metrics = [{metrics}] }}
stages {{ create_dataset  train  infer  measure }}
"""

COLLATE = "dataloader { collate_fn = espnet3.components.data.collate.CommonCollateFn() }"
SAMPLE = "  sample { utt_id: str  speech: float32[time]  text: str }"
WER = "espnet3.systems.asr.metrics.wer.WER()"

DATA = """
from torch.utils.data import Dataset
class Data(Dataset):
    def __init__(self, split): ...
    def __len__(self): return 1
    def __getitem__(self, index):
        row = self.rows[index]
        return {"utt_id": row["utt_id"], "speech": read(row["wav"]), "text": row["text"]}
"""
STEPS = """
import numpy as np
class Numbers:
    def __call__(self, sample):
        return {**sample, "text": np.array([int(each) for each in sample["text"]], dtype=np.int64)}
"""
MODEL = """
from torch import nn
class Model(nn.Module):
    def __init__(self): ...
    def forward(self, speech, speech_lengths, text, text_lengths):
        loss = self.ctc(speech)
        return loss, {"loss": loss}, len(speech)
"""
INFER = """
class Recognizer:
    def __init__(self): ...
    def __call__(self, speech): ...
def build_output(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}
"""


def check(modules: dict[str, str] | None = None, **parts: str) -> list[Diagnostic]:
    given = {
        "sample": SAMPLE, "entry": "", "training": "preprocessor = my.steps.Numbers()", "dataloader": COLLATE, "inference": "",
        "metrics": WER, **parts,
    }  # fmt: skip
    world = MemoryWorld(
        {
            **MODULES, "my.data": DATA, "my.steps": STEPS, "my.model": MODEL, "my.infer": INFER,
            **{f"my.{name}": text for name, text in (modules or {}).items()},
        }
    )  # fmt: skip
    found = compile(Source("recipe.esp", RECIPE.format(**given)), world).diagnostics
    # The short texts here call what they do not define.
    return [each for each in found if each.code.id != "ESP0419"]


def said(found: list[Diagnostic]) -> list[tuple[str, str]]:
    return [(each.code.id, each.message) for each in found]


def test_the_plain_recipe_has_no_diagnostic_and_its_links_are_proved() -> None:
    assert said(check()) == []

    world = MemoryWorld({**MODULES, "my.data": DATA, "my.steps": STEPS, "my.model": MODEL, "my.infer": INFER})
    text = RECIPE.format(sample=SAMPLE, entry="", training="", dataloader=COLLATE, inference="", metrics=WER)
    result = compile(Source("recipe.esp", text), world)

    assert proved_links(result.recipe, world) > 8
    assert list(unchecked_links(result.recipe, world)) == []
    assert flow_of(result.recipe, world) is flow_of(result.recipe, world)


GETITEM = DATA.partition("    def __getitem__")[0] + "    def __getitem__(self, index):\n"

DATASETS = {
    "a row as it is": "        return self.rows[index]\n",
    "a copy of a row with more": "        return {**self.rows[index], 'speech': self.read(index)}\n",
    "a dict that is filled": (
        "        item = {}\n        item['utt_id'] = str(index)\n        item['speech'] = self.read(index)\n"
        "        item['text'] = self.texts[index]\n        return item\n"
    ),
    "dict(...)": "        return dict(utt_id=str(index), speech=self.read(index), text=self.texts[index])\n",
    "update": (
        "        item = {'utt_id': str(index)}\n        item.update({'speech': self.read(index)})\n"
        "        item.update(text=self.texts[index])\n        return item\n"
    ),
    "a comprehension over a row": "        return {key: value for key, value in self.rows[index].items()}\n",
    "zip of names": "        return dict(zip(('utt_id', 'speech', 'text'), self.rows[index]))\n",
    "early return from a cache": (
        "        if index in self.cache:\n            return self.cache[index]\n"
        "        item = {'utt_id': str(index), 'speech': self.read(index), 'text': self.texts[index]}\n"
        "        self.cache[index] = item\n        return item\n"
    ),
    "a helper of its own": (
        "        return self._finish({'utt_id': str(index), 'text': self.texts[index]}, index)\n"
        "    def _finish(self, item, index):\n        item['speech'] = self.read(index)\n        return item\n"
    ),
    "a nested function": (
        "        def item(speech):\n            return {'utt_id': str(index), 'speech': speech, 'text': ''}\n"
        "        return item(self.read(index))\n"
    ),
    "a block that closes a file": (
        "        with np.load(self.paths[index]) as clip:\n"
        "            return {'utt_id': str(index), 'speech': clip['speech'], 'text': str(clip['text'])}\n"
    ),
    "try and raise": (
        "        try:\n            speech = self.read(index)\n"
        "        except OSError as error:\n            raise RuntimeError(index) from error\n"
        "        return {'utt_id': str(index), 'speech': speech, 'text': self.texts[index]}\n"
    ),
    "some more under a condition": (
        "        item = {'utt_id': str(index), 'speech': self.read(index), 'text': self.texts[index]}\n"
        "        if self.speakers:\n            item['speaker'] = self.speakers[index]\n        return item\n"
    ),
    "a loop over names": (
        "        item = {}\n        for key in ('utt_id', 'speech', 'text'):\n            item[key] = self.columns[key][index]\n"
        "        return item\n"
    ),
    "a loop over the columns": (
        "        item = {}\n        for key, column in self.columns.items():\n            item[key] = column[index]\n"
        "        return item\n"
    ),
    "a decorated one": "        return {'nothing': 1}\n",
    "matched": (
        "        match self.kind:\n            case 'a':\n                return {'utt_id': '', 'speech': 1.0 * self.a, 'text': ''}\n"
        "            case _:\n                raise ValueError\n"
    ),
}


@pytest.mark.parametrize("name", DATASETS)
def test_correct_datasets_in_many_manners(name: str) -> None:
    text = GETITEM + DATASETS[name]
    if name == "a decorated one":
        text = text.replace("    def __getitem__", "    @with_everything\n    def __getitem__")

    assert said(check({"data": text})) == []


def test_a_base_dataset_is_followed_through_super() -> None:
    base = DATA.replace("class Data", "class Base")
    own = (
        "from my.base import Base\nclass Data(Base):\n    def __getitem__(self, index):\n"
        "        item = super().__getitem__(index)\n        item['speaker'] = 3\n        return item\n"
    )
    sample = "  sample { utt_id: str  speech: float32[time]  text: str  speaker: int }"
    model = MODEL.replace("text_lengths)", "text_lengths, speaker)")

    assert said(check({"base": base, "data": own, "model": model}, sample=sample)) == []
    assert [each.code.id for each in check({"base": base, "data": own}, sample=sample)] == ["ESP0508"]


def test_a_dataset_that_a_package_hands_on() -> None:
    assert said(check({"data": "from .inner import Data as Data\n", "inner": DATA})) == []


CALL = "import numpy as np\nclass Numbers:\n    def __call__(self, sample):\n"
TEXT = "np.array([1], dtype=np.int64)"

STEPS_IN_MANY_MANNERS = {
    "returns the same": f"        sample['text'] = {TEXT}\n        return sample\n",
    "copies first": f"        sample = dict(sample)\n        sample['text'] = {TEXT}\n        return sample\n",
    "copies in one branch": (
        f"        if self.copy:\n            sample = dict(sample)\n        sample['text'] = {TEXT}\n        return sample\n"
    ),
    "update": f"        out = sample.copy()\n        out.update(text={TEXT})\n        return out\n",
    "merges": f"        return sample | {{'text': {TEXT}}}\n",
    "merges in place": f"        sample |= {{'text': {TEXT}}}\n        return sample\n",
    "drops and adds": (
        "        text = sample.pop('text')\n        sample.pop('speaker', None)\n"
        f"        return {{**sample, 'text': {TEXT}}}\n"
    ),
    "returns early": (
        f"        if 'text' not in sample:\n            return sample\n        return {{**sample, 'text': {TEXT}}}\n"
    ),
    "reads what may not be there": (
        f"        if 'speaker' in sample:\n            sample['speaker'] += 1\n        return {{**sample, 'text': {TEXT}}}\n"
    ),
    "asks politely": f"        speaker = sample.get('speaker', 0)\n        return {{**sample, 'text': {TEXT}}}\n",
    "catches": (
        "        try:\n            sample['speed'] += 1\n        except KeyError:\n            pass\n"
        f"        return {{**sample, 'text': {TEXT}}}\n"
    ),
    "depends on a setting": (
        "        if self.speakers:\n            sample['speaker'] = sample['speaker'] + 1\n"
        f"        return {{**sample, 'text': {TEXT}}}\n"
    ),
    "hands it to others": "        return tokenise(sample)\n",
    "changed by others": "        self.tokeniser.apply(sample)\n        return sample\n",
    "a comprehension": (
        f"        return {{key: ({TEXT} if key == 'text' else value) for key, value in sample.items()}}\n"
    ),
    "a helper in the module": f"        return add(sample)\ndef add(sample):\n    sample['text'] = {TEXT}\n    return sample\n",
    "a closure": (
        f"        def put(value):\n            sample['text'] = value\n        put({TEXT})\n        return sample\n"
    ),
    "a walrus": f"        if (text := sample.get('text')) is not None:\n            sample['text'] = {TEXT}\n        return sample\n",
    "of two parameters, as in ESPnet2": "",
}


@pytest.mark.parametrize("name", STEPS_IN_MANY_MANNERS)
def test_correct_preprocessors_in_many_manners(name: str) -> None:
    text = CALL + STEPS_IN_MANY_MANNERS[name]
    if not STEPS_IN_MANY_MANNERS[name]:
        text = f"import numpy as np\nclass Numbers:\n    def __call__(self, uid, data):\n        return {{**data, 'text': {TEXT}}}\n"

    assert said(check({"steps": text})) == []


TRANSFORMS = {
    "a function": ("my.more.double", "def double(item):\n    return {**item, 'speech': item['speech'] * 2}\n"),
    "a function with a default": ("my.more.scale", "def scale(item, by=2):\n    return {**item, 'speech': item['speech'] * by}\n"),
    "a partial function": (
        "partial my.more.scale(by = 2)", "def scale(item, by):\n    return {**item, 'speech': item['speech'] * by}\n"
    ),
    "an object with early return": (
        "my.more.Noise(probability = 0.5)",
        "import random\nclass Noise:\n    def __init__(self, probability): self.probability = probability\n"
        "    def __call__(self, item):\n        if random.random() > self.probability:\n            return item\n"
        "        return {**item, 'speech': item['speech'] + 1}\n",
    ),
    "a dict subclass": ("my.more.Item", "class Item(dict):\n    pass\n"),
    "several arguments": ("my.more.any_of", "def any_of(*args, **kwargs):\n    return args[0]\n"),
    "a function made elsewhere": ("my.more.made", "made = make_transform('speech')\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_correct_transforms_in_many_manners(name: str) -> None:
    value, text = TRANSFORMS[name]

    assert said(check({"more": text}, entry=f" {{ transform = {value} }}")) == []


COLLATES = {
    "names and a dict": (
        "def stack(items):\n    return [i['utt_id'] for i in items], {'speech': pad([i['speech'] for i in items]),"
        " 'speech_lengths': 1, 'text': 2, 'text_lengths': 3}\n"
    ),
    "a dict that is filled": (
        "def stack(items):\n    batch = {}\n    for key in ('speech', 'text'):\n        values = [item[key] for item in items]\n"
        "        batch[key] = pad(values)\n        batch[key + '_lengths'] = lengths(values)\n    return batch\n"
    ),
    "values by position": "def stack(items):\n    return pad(items), 1, 2, 3\n",
    "another collate function first": (
        "def stack(items):\n    batch = default_collate(items)\n    batch['speech_lengths'] = 1\n    return batch\n"
    ),
    "a loop over the items": (
        "def stack(items):\n    speech, text = [], []\n    for item in items:\n        speech.append(item['speech'])\n"
        "        text.append(item['text'])\n"
        "    return {'speech': pad(speech), 'speech_lengths': 1, 'text': pad(text), 'text_lengths': 2}\n"
    ),
}


@pytest.mark.parametrize("name", COLLATES)
def test_correct_collate_functions_in_many_manners(name: str) -> None:
    found = check({"more": COLLATES[name]}, dataloader="dataloader { collate_fn = my.more.stack }")

    assert said(found) == []


MODELS = {
    "takes all": "    def forward(self, **batch):\n        return self.loss(batch)\n",
    "defaults": (
        " "
        "   def forward(self, speech, speech_lengths=None, text=None, text_lengths=None, speaker=None):\n"
        "        return {'loss': self.f(speech)}\n"
    ),
    "rest": "    def forward(self, speech, **rest):\n        loss = self.f(speech)\n        return {'loss': loss, 'accuracy': 1.0}\n",
    "by keyword": "    def forward(self, *, speech, speech_lengths, text, text_lengths):\n        return self.f(speech)\n",
    "a list of steps": "    def forward(self, **batch):\n        return [OptimizationStep(loss, 'generator')]\n",
    "a tuple that is made": "    def forward(self, **batch):\n        out = (self.f(batch), {}, 2)\n        return out\n",
    "decorated": "    @torch.autocast('cuda')\n    def forward(self, nothing):\n        return 1, 2\n",
    "two ways": (
        "    def forward(self, **batch):\n        if not self.training:\n            return self.decode(batch), None\n"
        "        return self.f(batch)\n"
    ),
    "abstract": "    def forward(self, **batch):\n        raise NotImplementedError\n",
}


@pytest.mark.parametrize("name", MODELS)
def test_correct_models_in_many_manners(name: str) -> None:
    text = MODEL.partition("    def forward")[0] + MODELS[name]

    assert said(check({"model": text})) == []


OUTPUTS = {
    "a dict that is filled": (
        "    out = {'utt_id': data['utt_id']}\n    out['hyp'] = model_output.text\n"
        "    out['ref'] = data.get('text', '')\n    return out\n"
    ),
    "a dataclass of the model": "    return {'utt_id': data['utt_id'], 'hyp': model_output.best.text, 'ref': data['text']}\n",
    "asdict": "    return {'utt_id': data['utt_id'], **asdict(model_output), 'ref': data['text']}\n",
    "from elsewhere": "    return make(data, model_output)\n",
    "a list of dicts": "    return [{'utt_id': data['utt_id'], 'hyp': model_output, 'ref': data['text']}]\n",
    "one or many": (
        "    if isinstance(idx, list):\n        return [build_output(*each) for each in zip(data, model_output, idx)]\n"
        "    return {'utt_id': data['utt_id'], 'hyp': model_output, 'ref': data['text']}\n"
    ),
    "by a loop": "    return {key: data[key] for key in data} | {'hyp': model_output, 'ref': ''}\n",
    "under conditions": (
        "    out = {'utt_id': data['utt_id'], 'hyp': model_output}\n    if 'text' in data:\n"
        "        out['ref'] = data['text']\n    return out\n"
    ),
    "a constant key": "    return {NAME: data[NAME], 'hyp': model_output, 'ref': data['text']}\nNAME = 'utt_id'\n",
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_correct_output_functions_in_many_manners(name: str) -> None:
    text = INFER.partition("    return {")[0] + OUTPUTS[name]

    assert said(check({"infer": text})) == []


BATCHED = {
    "a comprehension": (
        "    return [{'utt_id': d['utt_id'], 'hyp': o, 'ref': d['text']} for d, o in zip(data, model_output, strict=True)]\n"
    ),
    "a loop": (
        "    outputs = []\n    for each, hyp in zip(data, model_output):\n        output = {'utt_id': each['utt_id']}\n"
        "        output['hyp'] = hyp\n        output['ref'] = each['text']\n        outputs.append(output)\n    return outputs\n"
    ),
    "one or many": (
        "    if isinstance(data, dict):\n        return {'utt_id': data['utt_id'], 'hyp': model_output, 'ref': data['text']}\n"
        "    return [build_output(d, o, i) for d, o, i in zip(data, model_output, idx)]\n"
    ),
}


@pytest.mark.parametrize("name", BATCHED)
def test_correct_output_functions_of_batches(name: str) -> None:
    text = INFER.partition("    return {")[0] + BATCHED[name]

    assert said(check({"infer": text}, inference="batch_size = 8")) == []


def test_a_batch_of_outputs_is_looked_into() -> None:
    text = INFER.partition("    return {")[0] + BATCHED["a loop"].replace("'ref'", "'reference'")

    (found,) = check({"infer": text}, inference="batch_size = 8")

    assert found.code.id == "ESP0518"
    assert "`WER` reads `ref`, but `build_output` returns `utt_id`, `hyp`, `reference`" in found.message


def test_a_stage_that_the_recipe_runs_itself_is_not_judged() -> None:
    model = MODEL.replace("return loss, {", "return {").replace(", len(speech)", "").replace('"loss": loss', '"a": 1')
    text = RECIPE.replace("train  infer", "train_gan requires training runs src.stages.export_onnx  infer")
    parts = {"sample": SAMPLE, "entry": "", "training": "", "dataloader": COLLATE, "inference": "", "metrics": WER}
    modules = {**MODULES, "my.data": DATA, "my.steps": STEPS, "my.model": model, "my.infer": INFER}

    found = compile(Source("recipe.esp", text.format(**parts)), MemoryWorld(modules)).diagnostics

    assert not [each for each in found if each.code.family == "flow"]


def test_a_misspelt_key_is_said_once() -> None:
    """That no collate function is known then, and that the batch therefore lacks its lengths, follows from it."""
    found = check(dataloader=COLLATE.replace("collate_fn", "colate_fn"))

    assert [each.code.id for each in found] == ["ESP0301"]


def test_a_mistake_in_the_dataset_is_not_said_again_by_what_comes_after_it() -> None:
    found = check(sample=SAMPLE.replace("speech", "speach"))

    assert [each.code.id for each in found] == ["ESP0501"]
    assert "did you mean `speech`?" in found[0].message


def test_the_links_of_a_missing_key_are_shown() -> None:
    text = STEPS.replace('sample["text"]', 'sample["words"]')

    (found,) = check({"steps": text})

    assert found.code.id == "ESP0504"
    shown = [label.span.source.path for label in found.secondary]
    assert shown == ["my/steps.py", "my/data.py"]
    assert found.secondary[0].span.text == 'sample["words"]'


def test_metrics_of_an_inference_in_another_folder_are_not_judged() -> None:
    text = RECIPE.replace("metrics {{ metrics", 'metrics {{ inference_dir = "elsewhere"  metrics')
    parts = {"sample": SAMPLE, "entry": "", "training": "", "dataloader": "", "inference": ""}
    modules = {**MODULES, "my.data": DATA, "my.steps": STEPS, "my.model": MODEL, "my.infer": INFER}
    wer = 'espnet3.systems.asr.metrics.wer.WER(ref_key = "other")'

    found = compile(Source("recipe.esp", text.format(**parts, metrics=wer)), MemoryWorld(modules)).diagnostics

    assert "ESP0518" not in [each.code.id for each in found]


FACTORY = """
from torch import nn
class Model(nn.Module):
    def __init__(self): ...
    def forward(self, speech, speech_lengths, {text}, text_lengths):
        loss = self.ctc(speech)
        return loss, {{"loss": loss, "cer": loss}}, len(speech)
    @classmethod
    def small(cls) -> Model:
        return cls()
class Log{base}:
    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log("valid/{logged}", 1.0)
"""


def factory(criterion: str, *, text: str = "text", logged: str = "wer") -> list[tuple[str, str]]:
    module = FACTORY.format(text=text, logged=logged, base="(Callback)")
    module = f"from lightning.pytorch.callbacks.callback import Callback\n{module}"
    recipe = RECIPE.replace("my.model.Model()", "my.model.Model.small()").replace(
        "optimizer =",
        f'trainer {{{{ callbacks = [my.model.Log()] }}}}\n  best_model_criterion = [["{criterion}", 1, "min"]]\n  optimizer =',
    )
    given = {"sample": SAMPLE, "entry": "", "training": "preprocessor = my.steps.Numbers()", "dataloader": COLLATE}
    text_of_it = recipe.format(**given, inference="", metrics=WER)
    world = MemoryWorld(
        {**MODULES, "my": "", "my.data": DATA, "my.steps": STEPS, "my.model": module, "my.infer": INFER, "my.more": ""}
    )
    found = compile(Source("recipe.esp", text_of_it), world).diagnostics
    return said([each for each in found if each.code.id != "ESP0419"])


def test_a_model_of_a_class_method_is_followed_with_what_its_callbacks_log() -> None:
    assert factory("valid/cer") == factory("valid/wer") == []
    assert [code for code, _ in factory("valid/per")] == ["ESP0521"]
    assert [code for code, _ in factory("valid/per", text="words")] == ["ESP0507", "ESP0521"]


def test_an_output_fn_that_calls_itself_for_every_item_of_a_batch() -> None:
    module = """
def build_output(data, model_output, idx):
    if isinstance(data, list):
        return [build_output(*each) for each in zip(data, model_output, idx)]
    return {{"utt_id": data["{key}"], "hyp": model_output, "ref": data["text"]}}
"""
    infer = INFER.partition("def build_output")[0]
    for inference in ("", "batch_size = 4"):
        right = check({"infer": infer + module.format(key="utt_id")}, inference=inference)
        wrong = check({"infer": infer + module.format(key="name")}, inference=inference)

        assert said(right) == []
        assert [code for code, _ in said(wrong)] == ["ESP0513"]


LOSSES = {
    "a number": "return {'loss': float(self.f(speech))}",
    "taken out": "return {'loss': self.f(speech).item()}",
    "in the wrong order": "return {'acc': 1.0}, self.f(speech), 4",
    "the dict last": "return self.f(speech), 4, {'acc': 1.0}",
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_nothing_can_be_learnt_from(name: str) -> None:
    text = MODEL.partition("    def forward")[0] + f"    def forward(self, speech, **rest):\n        {LOSSES[name]}\n"

    assert [code for code, _ in said(check({"model": text}))] == ["ESP0509"]


def test_a_forward_without_gradients() -> None:
    head = MODEL.partition("    def forward")[0]
    text = f"{head}    @torch.no_grad()\n    def forward(self, speech, **rest):\n        return self.f(speech)\n"

    assert [code for code, _ in said(check({"model": text}))] == ["ESP0509"]
