"""Runners and providers: correct ones in many manners get no diagnostic, and one mistake is said once."""

from __future__ import annotations

import pytest

from esp3c.diagnostics import Diagnostic
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES

RECIPE = """
recipe r {{ system = espnet3.systems.asr.system.ASRSystem }}
dataset digits {{ class = dataset.dataset.SpokenDigits }}
training {{ dataset {{ train = [digits(split = "train")] }} }}
inference {{
  dataset {{ test {{ seen = digits(split = "test") }} }}
  model     = src.inference.Recognizer()
  input_key = "speech"
  {inference}
}}
stages {{
  {stages}
}}
"""

WORKLOAD = "label_all {{ runner = my.Own({runner})  provider = my.Gives()  over = training.dataset.train }}"

PROVIDER = """
from espnet3.parallel.env_provider import EnvironmentProvider
class Gives(EnvironmentProvider):
    def build_env_local(self):
        return {"dataset": load(self.config), "model": build(self.config)}
    def build_worker_setup_fn(self):
        config = self.config
        def setup():
            return {"dataset": load(config), "model": build(config)}
        return setup
"""
RUNNER = """
from espnet3.parallel.base_runner import BaseRunner
class Own(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        return model(dataset[idx])
"""


def check(provider: str = PROVIDER, runner: str = RUNNER, *, given: str = "", more: str = "") -> list[Diagnostic]:
    text = RECIPE.format(inference="", stages=WORKLOAD.format(runner=given))
    world = MemoryWorld({**MODULES, "my": f"{provider}\n{runner}\n{more}"})
    found = compile(Source("recipe.esp", text), world).diagnostics
    # The short texts here call what they do not define.
    return [each for each in found if each.code.id != "ESP0419"]


def said(found: list[Diagnostic]) -> list[tuple[str, str]]:
    return [(each.code.id, each.message) for each in found]


def test_what_the_guide_shows_has_no_diagnostic() -> None:
    assert said(check()) == []


BODY = PROVIDER.partition("    def build_env_local")[0]

PROVIDERS = {
    "an environment that is filled": (
        "    def build_env_local(self):\n        env = {}\n        env['dataset'] = load()\n        env['model'] = build()\n"
        "        return env\n    def build_worker_setup_fn(self):\n        return self.build_env_local\n"
    ),
    "one made by the other": (
        "    def build_env_local(self):\n        return self.build_worker_setup_fn()()\n"
        "    def build_worker_setup_fn(self):\n        return lambda: {'dataset': 1, 'model': 2}\n"
    ),
    "a partial function": (
        "    def build_env_local(self):\n        return build_env(self.config)\n"
        "    def build_worker_setup_fn(self):\n        return partial(build_env, self.config)\n"
    ),
    "a function of the module": (
        "    def build_env_local(self):\n        return setup()\n    def build_worker_setup_fn(self):\n        return setup\n"
        "def setup():\n    return {'dataset': 1, 'model': 2}\n"
    ),
    "parameters with defaults": (
        "    def build_env_local(self):\n        return {'dataset': 1, 'model': 2}\n    def build_worker_setup_fn(self):\n"
        "        def setup(config=self.config):\n            return {'dataset': config, 'model': 2}\n        return setup\n"
    ),
    "more from elsewhere": (
        "    def build_env_local(self):\n        return {**self.extra, 'dataset': 1}\n"
        "    def build_worker_setup_fn(self):\n        return self.setup\n"
    ),
    "a fallback": (
        "    def build_env_local(self):\n        if self.config.cached:\n            return dict(self.cache)\n"
        "        return {'dataset': 1, 'model': 2}\n    def build_worker_setup_fn(self):\n        return self.setup\n"
    ),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_correct_providers_in_many_manners(name: str) -> None:
    assert said(check(BODY + PROVIDERS[name])) == []


HEAD = RUNNER.partition("    @staticmethod")[0]

RUNNERS = {
    "only what it needs": "    @staticmethod\n    def forward(idx, model):\n        return model(idx)\n",
    "all of it": "    @staticmethod\n    def forward(idx, **env):\n        return env['model'](env['dataset'][idx])\n",
    "one or many": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        if isinstance(idx, int):\n"
        "            return model(dataset[idx])\n        return model([dataset[i] for i in idx])\n"
    ),
    "a default": (
        "    @staticmethod\n    def forward(idx, dataset, model, beam=4, **env):\n"
        "        return model(dataset[idx], beam)\n"
    ),
    "another word for the item": "    @staticmethod\n    def forward(batch_indices, dataset, model, **env):\n        return 1\n",
    "made once": (
        "    _model = None\n    @staticmethod\n    def forward(idx, checkpoint=None, **env):\n        if Own._model is None:\n"
        "            Own._model = torch.load(checkpoint)\n        return Own._model(idx)\n"
    ),
    "loads the item": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n"
        "        return torch.load(dataset[idx]['path'])\n"
    ),
    "loads the item in two steps": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        path = dataset[idx]['path']\n"
        "        return model(torch.load(path))\n"
    ),
    "self in a class inside": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        class Box:\n"
        "            def get(self):\n                return self.value\n        return Box()\n"
    ),
    "a class method as a hook": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        return 1\n"
        "    @classmethod\n    def reduce_state(cls, state, result, **env):\n        state['sum'] += result\n        return state\n"
        "    @classmethod\n    def init_state(cls, shard_id=0, **env):\n        return {'sum': 0, 'shard_id': shard_id}\n"
    ),
    "a state with more": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        return 1\n    @classmethod\n"
        "    def init_state(cls, shard_id=0, **env):\n        return {**super().init_state(shard_id, **env), 'sum': 0}\n"
    ),
}


@pytest.mark.parametrize("name", RUNNERS)
def test_correct_runners_in_many_manners(name: str) -> None:
    assert said(check(runner=HEAD + RUNNERS[name])) == []


WRITERS = (
    "    @staticmethod\n    def open_writers(shard_dir, **env):\n        return {'text': (shard_dir / 'text').open('w')}\n"
    "    @staticmethod\n    def write_record(writers, result, state, **env):\n        writers['text'].write(result)\n"
    "    @staticmethod\n    def close_writers(writers):\n        writers['text'].close()\n"
)
MERGE = "    def merge(self, shard_dirs):\n        return concatenate_shard_files(shard_dirs, 'text', self.output_dir / 'text')\n"


def test_a_runner_that_writes_and_merges() -> None:
    assert said(check(runner=RUNNER + WRITERS + MERGE, given='output_dir = "labels"')) == []


def test_a_runner_that_sets_its_own_folder() -> None:
    made = "    def __init__(self, provider, **kwargs):\n        super().__init__(provider, output_dir='labels', **kwargs)\n"

    assert said(check(runner=RUNNER + made + WRITERS + MERGE)) == []


def test_without_a_folder_the_missing_merge_is_not_said_too() -> None:
    assert [each.code.id for each in check(runner=RUNNER + WRITERS)] == ["ESP0710"]


def test_a_forward_with_self_is_one_mistake() -> None:
    runner = RUNNER.replace("    @staticmethod\n", "").replace("forward(idx", "forward(self, idx")

    assert [each.code.id for each in check(runner=runner)] == ["ESP0701"]


def test_an_abstract_runner_is_said_where_calls_are_checked() -> None:
    runner = HEAD + "    def other(self):\n        return 1\n"

    assert [each.code.id for each in check(runner=runner)] == ["ESP0406"]


INFERENCE_RUNNER = """
from espnet3.systems.base.inference_runner import InferenceRunner
class Beam(InferenceRunner):
    def __init__(self, provider, beam=4, **kwargs):
        super().__init__(provider, **kwargs)
class Greedy(InferenceRunner):
    @staticmethod
    def forward(idx, dataset, model, input_key, output_fn, idx_key, **env):
        return output_fn(data=dataset[idx], model_output=model(dataset[idx][input_key]), idx=idx)
class Missing(InferenceRunner):
    @staticmethod
    def forward(idx, dataset, model, tokenizer, **env):
        return tokenizer(model(dataset[idx]))
"""
INFERENCE_PROVIDER = """
from espnet3.systems.base.inference_provider import InferenceProvider
class Quantised(InferenceProvider):
    @staticmethod
    def build_model(config):
        return quantise(config.model)
class WithTokens(InferenceProvider):
    def build_env_local(self):
        return {**super().build_env_local(), "tokenizer": load()}
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("runner = my.Beam(beam = 8)", []),
        ("runner = my.Greedy()", []),
        ("provider = my.Quantised()", []),
        ("provider = my.Quantised()  runner = my.Beam()", []),
        ("runner = my.Missing()", ["ESP0704"]),
        ("runner = my.Missing()  provider = my.Quantised()", ["ESP0704"]),
        ("runner = my.Missing()  provider = my.WithTokens()", []),
    ],
)
def test_runners_and_providers_of_an_inference(settings: str, expected: list[str]) -> None:
    text = RECIPE.format(inference=settings, stages="infer")
    world = MemoryWorld({**MODULES, "my": INFERENCE_RUNNER + INFERENCE_PROVIDER})

    found = compile(Source("recipe.esp", text), world).diagnostics

    # The short texts here call what they do not define.
    assert [each.code.id for each in found if each.code.id != "ESP0419"] == expected


READS = {
    "a key that is put there first": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        env.setdefault('beam', 3)\n"
        "        return env['beam']\n"
    ),
    "a key that is asked for first": (
        "    @staticmethod\n    def forward(idx, dataset, model, **env):\n        if 'beam' in env:\n"
        "            return env['beam']\n        return env.get('width', 2)\n"
    ),
    "writers that grow": (
        "    @staticmethod\n    def forward(idx, dataset, model):\n        return {'hyp': 1}\n    @staticmethod\n"
        "    def open_writers(shard_dir):\n        return {'folder': shard_dir}\n    @staticmethod\n"
        "    def write_record(writers, result, state):\n        if 'text' not in writers:\n"
        "            writers['text'] = open(writers['folder'])\n        writers['text'].write(result['hyp'])\n"
        "    def merge(self, shard_dirs, *, strict=True):\n        return shard_dirs\n"
    ),
    "records of its own": (
        "    @staticmethod\n    def forward(idx, dataset, model):\n        return {'hyp': 1}\n    @classmethod\n"
        "    def reduce_state(cls, state, result):\n        cls.write_record(state, {'text': result['hyp']}, {})\n"
        "        return state\n    @staticmethod\n    def write_record(writers, result, state):\n"
        "        writers['records'].append(result['text'])\n"
    ),
}


@pytest.mark.parametrize("name", READS)
def test_what_a_runner_reads_by_key_is_there_in_many_manners(name: str) -> None:
    given = 'output_dir = "out"'

    assert said(check(runner=HEAD + READS[name], given=given)) == []


INITS = {
    "handed on": "(self, config, params=None):\n        super().__init__(config, params)\n",
    "by name": "(self, config, **rest):\n        super().__init__(config, params=dict(rest, beam=1))\n",
    "a choice": "(self, config, params=None):\n        super().__init__(config, {} if params is None else params)\n",
    "changed later": "(self, config, params=None):\n        super().__init__(config, params)\n        self.params['unit'] = 1\n",
    "everything": "(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n",
}
BUILT = """
from espnet3.parallel.inference_provider import InferenceProvider
class Gives(InferenceProvider):
    def __init__{init}
    @staticmethod
    def build_dataset(config):
        return load(config)
    @classmethod
    def build_model(cls, config):
        return build(config)
"""


@pytest.mark.parametrize("name", INITS)
def test_providers_with_an_init_of_their_own_in_many_manners(name: str) -> None:
    assert said(check(BUILT.format(init=INITS[name]))) == []


def test_params_that_an_init_makes_are_known_by_name() -> None:
    init = "(self, config, params=None):\n        super().__init__(config, {'unit': 1, **(params or {})})\n"
    runner = "    @staticmethod\n    def forward(idx, dataset, model, units):\n        return 1\n"

    found = check(BUILT.format(init=init), HEAD + runner)

    assert said(found) == [
        ("ESP0704", "`Own.forward` needs `units`, but `Gives` gives `dataset`, `model`, `unit`"),
    ]
