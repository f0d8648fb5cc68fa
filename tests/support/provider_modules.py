"""The recipe's Python of the fixtures about providers and runners, with espnet3's own classes as they are asked for."""

from __future__ import annotations

PROVIDERS = {
    "espnet3.parallel.base_runner": """
from abc import ABC, abstractmethod

class BaseRunner(ABC):
    def __init__(self, provider, batch_size=None, output_dir=None, shard_subdir="", resume=True):
        self.provider = provider
    @staticmethod
    @abstractmethod
    def forward(idx, dataset, model, **env): ...
    @staticmethod
    def open_writers(shard_dir, **env):
        return {}
    @staticmethod
    def write_record(writers, result, state, **env):
        state["records"].append(result)
    @staticmethod
    def close_writers(writers):
        return None
    def merge(self, shard_dirs):
        return None
    @classmethod
    def init_state(cls, shard_id=0, output_dir="", shard_subdir="", **env):
        return {"shard_id": shard_id, "shard_dir": None, "records": [], "writers": {}}
    @classmethod
    def reduce_state(cls, state, result, **env):
        return state
    @classmethod
    def finalize_state(cls, state, **env):
        return state
    def options(self):
        return {}
    def __call__(self, indices):
        return list(indices)
""",
    "espnet3.parallel.env_provider": """
from abc import ABC, abstractmethod

class EnvironmentProvider(ABC):
    def __init__(self, config):
        self.config = config
    @abstractmethod
    def build_env_local(self): ...
    @abstractmethod
    def build_worker_setup_fn(self): ...
""",
    "espnet3.systems.base.inference_runner": """
from espnet3.parallel.base_runner import BaseRunner

class InferenceRunner(BaseRunner):
    def __init__(self, provider, idx_key="utt_id", **kwargs):
        super().__init__(provider, **kwargs)
    def options(self):
        return {"idx_key": self.idx_key}
    @staticmethod
    def forward(idx, dataset=None, model=None, **kwargs):
        return model(dataset[idx])
    @staticmethod
    def open_writers(shard_dir, **env):
        return {"shard_dir": shard_dir}
    def merge(self, shard_dirs):
        return join(shard_dirs)
""",
    "espnet3.systems.base.inference_provider": """
from espnet3.parallel.env_provider import EnvironmentProvider

class InferenceProvider(EnvironmentProvider):
    def __init__(self, inference_config=None, params=None):
        super().__init__(inference_config)
    def build_env_local(self):
        return {"dataset": self.dataset, "model": self.model, **self.params}
    def build_worker_setup_fn(self):
        return self.setup
    @staticmethod
    def build_dataset(config):
        return instantiate(config)
    @staticmethod
    def build_model(config):
        return instantiate(config)
""",
    "work.model": """
from torch.nn import Module

class Labeller(Module):
    def __init__(self): ...
    def forward(self, speech): ...
""",
    "work.runners": """
import torch
from espnet3.parallel.base_runner import BaseRunner
from work.model import Labeller

class Labels(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        return model(dataset[idx])

class Method(BaseRunner):
    def forward(self, idx, dataset, model):
        return model(dataset[idx])

class FirstSelf(BaseRunner):
    @staticmethod
    def forward(self, idx, dataset, model):
        return model(dataset[idx])

class UsesSelf(BaseRunner):
    @staticmethod
    def forward(idx, dataset, **env):
        return self.model(dataset[idx])

class NoItem(BaseRunner):
    @staticmethod
    def forward(**env):
        return env["model"](env["dataset"][0])

class Net(BaseRunner):
    @staticmethod
    def forward(idx, ds, network, **env):
        return network(ds[idx])

class Loads(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        weights = torch.load("model.pt", weights_only=True)
        return model(dataset[idx], weights)

class Makes(BaseRunner):
    @staticmethod
    def forward(idx, dataset, **env):
        labeller = Labeller()
        return labeller(dataset[idx])

class Texts(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        return model(dataset[idx])
    @staticmethod
    def open_writers(shard_dir, **env):
        return {"text": (shard_dir / "text").open("w")}
    @staticmethod
    def write_record(writers, result, state, **env):
        writers["text"].write(result)
    @staticmethod
    def close_writers(writers):
        writers["text"].close()

class MergedTexts(Texts):
    def merge(self, shard_dirs):
        return [path / "text" for path in shard_dirs]

class MethodHook(MergedTexts):
    def write_record(self, writers, result, state):
        writers["text"].write(result)

class FewParameters(MergedTexts):
    @staticmethod
    def write_record(writers, result):
        writers["text"].write(result)

class Sums(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        return model(dataset[idx])
    @classmethod
    def init_state(cls, shard_id=0, **env):
        return {"sum": 0.0}

class NoRunner:
    def __init__(self, beam=1):
        self.beam = beam
    def run(self, indices):
        return [self.beam for each in indices]
""",
    "work.providers": """
from espnet3.parallel.env_provider import EnvironmentProvider

class Labels(EnvironmentProvider):
    def build_env_local(self):
        return {"dataset": load(self.config), "model": build(self.config)}
    def build_worker_setup_fn(self):
        config = self.config
        def setup():
            return {"dataset": load(config), "model": build(config)}
        return setup

class Counted(Labels):
    def build_env_local(self):
        return {"idx": 0, "dataset": load(self.config), "model": build(self.config)}

class ReturnsEnv(Labels):
    def build_worker_setup_fn(self):
        return {"dataset": load(self.config), "model": build(self.config)}

class Forgets(Labels):
    def build_worker_setup_fn(self):
        def setup():
            return {"dataset": load(self.config), "model": build(self.config)}

class TakesConfig(Labels):
    def build_worker_setup_fn(self):
        def setup(config):
            return {"dataset": load(config), "model": build(config)}
        return setup

class GivesTuple(Labels):
    def build_env_local(self):
        return load(self.config), build(self.config)

class SetupGivesNothing(Labels):
    def build_worker_setup_fn(self):
        config = self.config
        def setup():
            env = {"dataset": load(config), "model": build(config)}
        return setup

class NoProvider:
    def __init__(self, config):
        self.config = config
    def build(self):
        return {"dataset": load(self.config)}
""",
    "espnet3.parallel.inference_provider": """
from abc import abstractmethod
from espnet3.parallel.env_provider import EnvironmentProvider

class InferenceProvider(EnvironmentProvider):
    def __init__(self, config, params=None):
        super().__init__(config)
        self.params = params or {}
    @staticmethod
    @abstractmethod
    def build_dataset(config): ...
    @staticmethod
    @abstractmethod
    def build_model(config): ...
    def build_env_local(self):
        return dict(self._local_env)
    def build_worker_setup_fn(self):
        return self.setup
""",
    "work.building": """
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.inference_provider import InferenceProvider
from work.model import Labeller

class Clips:
    def __len__(self): return 1
    def __getitem__(self, index):
        return {"clip": f"clip_{index}", "speech": load(index)}

class Builds(InferenceProvider):
    def __init__(self, config, params=None, dim=192):
        self.dim = dim
        super().__init__(config, {"unit": "clip", **(params or {})})
    @staticmethod
    def build_dataset(config):
        return Clips()
    @staticmethod
    def build_model(config):
        return Labeller()

class BuildsWithSelf(Builds):
    def build_model(self, config):
        return Labeller()

class BuildsWithDevice(Builds):
    @staticmethod
    def build_model(config, device):
        return Labeller().to(device)

class NoConfig(Builds):
    def __init__(self, params=None):
        super().__init__(None, params)

class LocalWithConfig(EnvironmentProvider):
    def build_env_local(self, config):
        return {"dataset": load(config), "model": build(config)}
    def build_worker_setup_fn(self):
        config = self.config
        return lambda: {"dataset": load(config), "model": build(config)}

class Clipped(EnvironmentProvider):
    def build_env_local(self):
        return self.build_worker_setup_fn()()
    def build_worker_setup_fn(self):
        def setup():
            from work.building import Clips
            return {"dataset": Clips(), "model": build()}
        return setup
""",
    "work.reading": """
from espnet3.parallel.base_runner import BaseRunner
from work.runners import MergedTexts

class Unit(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, unit, **env):
        return unit, model(dataset[idx]["speech"])

class Beam(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model, **env):
        return model(dataset[idx]["speech"], env["beam"])

class Audio(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model):
        return model(dataset[idx]["audio"])

class OtherWriter(MergedTexts):
    @staticmethod
    def write_record(writers, result, state):
        writers["texts"].write(result)

class OtherResult(MergedTexts):
    @staticmethod
    def forward(idx, dataset, model):
        return {"text": model(dataset[idx])}
    @staticmethod
    def write_record(writers, result, state):
        writers["text"].write(result["hyp"])

class MergesNothing(MergedTexts):
    def merge(self):
        return None

class Forgets(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model):
        return model(dataset[idx])
    @classmethod
    def reduce_state(cls, state, result, **env):
        state["records"].append(result)
""",
    "work.results": """
from espnet3.parallel.base_runner import BaseRunner
from work.building import Builds
from work.runners import Labels, MergedTexts

class Alone(Labels):
    def __init__(self, provider, beam=1):
        self.beam = beam

class HandsOn(Labels):
    def __init__(self, provider, beam=1, **rest):
        self.beam = beam
        super().__init__(provider, **rest)

class OpensNothing(MergedTexts):
    @staticmethod
    def open_writers(shard_dir, **env):
        {"text": (shard_dir / "text").open("w")}

class GivesNothing(MergedTexts):
    @staticmethod
    def forward(idx, dataset, model):
        model(dataset[idx])
    @staticmethod
    def write_record(writers, result, state):
        writers["text"].write(result["text"])

class Waits(BaseRunner):
    @staticmethod
    async def forward(idx, dataset, model):
        return await model(dataset[idx])

class Yields(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model):
        yield model(dataset[idx])

class OnlyEffects(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model):
        model(dataset[idx])

class BuildsNothing(Builds):
    @staticmethod
    def build_model(config):
        model = build(config)
""",
}
