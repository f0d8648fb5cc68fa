"""VS Code: the snippets."""

from __future__ import annotations

import json
from typing import Any

from esp3c.words import Words

FILE, BLOCK, STAGES = "file", "block", "stages"
"""Where a snippet stands: outside of all blocks, as an entry of a block, or as a stage line."""


def files(words: Words) -> dict[str, str]:
    """The snippets as one JSON file."""
    text = json.dumps(snippets(words), indent=2, ensure_ascii=False)
    return {"vscode/snippets/esp.json": text + "\n"}


def snippets(words: Words) -> dict[str, Any]:
    """What VS Code offers by prefix. A tab is one level, `${1:text}` a place to fill, `\\$` a dollar of the recipe."""
    return {
        title: {"prefix": prefix, "body": body.split("\n"), "description": description}
        for _, title, prefix, description, body in pieces(words)
    }


def pieces(words: Words) -> list[tuple[str, str, str, str, str]]:
    """Place, title, prefix, description and body of each snippet."""
    stages = list(words.stages)
    usual = stages[: stages.index("measure") + 1]
    return [
        (FILE, "Recipe", "recipe", "The name and the system of the recipe", _RECIPE),
        (FILE, "Dataset", "dataset", "A dataset of this recipe, with its builder", _DATASET),
        (FILE, "Dataset of another recipe", "dataset source", "A dataset that comes from elsewhere", _SOURCE),
        (FILE, "Training", "training", "Data, model, optimizer and trainer", _TRAINING),
        (FILE, "Inference", "inference", "Test sets, and what a model makes of them", _INFERENCE),
        (FILE, "Metrics", "metrics", "What outputs are measured with", _METRICS),
        (FILE, "Publication", "publication", "A bundle of the model, and where it goes", _PUBLICATION),
        (FILE, "Demo", "demo", "A page for the model", _DEMO),
        (FILE, "Config", "config", "A config of one's own", "config ${1:name} {\n\t${2:key} = ${3:1}\n}"),
        (FILE, "Config that extends another", "config extends", "Another config with changes", _EXTENDS),
        (FILE, "Processes of this machine", "parallel local", "A machine setting: processes here", _PARALLEL_LOCAL),
        (FILE, "SLURM", "parallel slurm", "A machine setting: jobs on SLURM", _PARALLEL_SLURM),
        (FILE, "Machine setting", "parallel", "A machine setting of any backend", _parallel(words)),
        (FILE, "Value with a name", "let", "A value with a name", "let ${1:name} = ${2:16kHz}"),
        (FILE, "Stages", "stages", "The pipeline, in its order", "stages {\n" + _lines(usual) + "\n}"),
        (FILE, "Function as a stage", "stages runs", "A pipeline that calls a function", _STAGES_RUNS),
        (BLOCK, "Sample", "sample", "What one item of the dataset holds", _SAMPLE),
        (BLOCK, "Field", "field", "One field of `sample`", _field(words)),
        (BLOCK, "Optimizer", "optimizer", "An optimizer", _OPTIMIZER),
        (BLOCK, "Scheduler", "scheduler", "A learning rate over the steps", _SCHEDULER),
        (BLOCK, "Dataloader", "dataloader", "Batches of the training and of its validation", _DATALOADER),
        (BLOCK, "Trainer", "trainer", "Lightning's trainer", _TRAINER),
        (BLOCK, "Tokenizer", "tokenizer", "What `train_tokenizer` trains", _TOKENIZER),
        (BLOCK, "Test set", "test", "Named test sets", _TEST),
        (BLOCK, "Addition", "new", "A key that the extended config does not have", "new ${1:key} = ${2:1}"),
        (BLOCK, "Partial call", "partial", "A call that still lacks arguments", _PARTIAL),
        (STAGES, "Stage", "stage", "A stage of the system", "${1|" + ",".join(stages) + "|}"),
        (STAGES, "Stage on a machine", "stage on", "A stage, and where it runs", _STAGE_ON),
        (STAGES, "Stage of another config", "stage requires", "A stage with a config of its own", _stage_requires()),
        (STAGES, "Stage that calls a function", "stage runs", "A function of the recipe as a stage", _STAGE_RUNS),
        (STAGES, "Stage over items", "stage runner", "A stage that shares items out to workers", _STAGE_RUNNER),
    ]


def _lines(words: list[str]) -> str:
    return "\n".join(f"\t{word}" for word in words)


def _parallel(words: Words) -> str:
    return "parallel ${1:name} = ${2|" + ",".join(words.backends) + "|}(n_workers = ${3:4})"


def _field(words: Words) -> str:
    return "${1:name}: ${2|" + ",".join(words.types) + "|}"


def _stage_requires() -> str:
    return "${1:train_easy} requires ${2:training_easy} runs ${3:train}"


_RECIPE = """\
recipe ${1:name} {
	system  = ${2|espnet3.systems.asr.system.ASRSystem,espnet3.systems.tts.system.TTSSystem|}
	exp_tag = "${3:base}"
	seed    = ${4:2026}
}"""
_DATASET = """\
dataset ${1:name} {
	class   = ${2:dataset.dataset.MyDataset}
	builder = ${3:dataset.builder.MyBuilder}()

	sample {
		utt_id: str
		speech: float32[time]
		text:   str
	}
}"""
_SOURCE = """dataset ${1:name} { source = "${2:recipe/task}" }"""
_TRAINING = """\
training {
	dataset {
		train = [${1:name}(split = "train")]
		valid = [${1:name}(split = "valid")]
		preprocessor = ${2:src.text.Tokens}()
	}

	model     = ${3:src.model.Model}()
	optimizer = torch.optim.AdamW(lr = ${4:1e-3})

	dataloader {
		collate_fn = espnet3.components.data.collate.CommonCollateFn(int_pad_value = -1)
		train { batch_size = ${5:16}  shuffle = true }
		valid { batch_size = ${5:16} }
	}

	trainer { max_epochs = ${6:10}  accelerator = "auto"  devices = 1 }
	best_model_criterion = [["valid/loss", 1, "min"]]
}"""
_INFERENCE = """\
inference {
	dataset { test { ${1:test} = ${2:name}(split = "test") } }
	model     = ${3:src.inference.Recognizer}(checkpoint = "\\${exp_dir}/last.ckpt")
	input_key = "${4:speech}"
	output_fn = ${5:src.inference.build_output}
}"""
_METRICS = """\
metrics {
	metrics = [espnet3.systems.asr.metrics.${1|wer.WER,cer.CER|}(ref_key = "${2:ref}", hyp_key = "${3:hyp}")]
}"""
_PUBLICATION = """\
publication {
	pack_model { out_dir = "\\${exp_dir}/model_pack" }
	upload_model { hf_repo = "${1:team/model}" }
}"""
_DEMO = """\
demo {
	title = "${1:Title}"
	description = "${2:What it does.}"
	pack_demo { out_dir = "\\${exp_dir}/demo" }
}"""
_EXTENDS = """\
config ${1:training_easy} extends ${2:training} {
	new exp_tag        = "${3:easy}"
	trainer.max_epochs = ${4:2}
}"""
_PARALLEL_LOCAL = "parallel ${1:here} = local(n_workers = ${2:4})"
_PARALLEL_SLURM = """\
parallel ${1:cluster} = slurm(
	partition     = "${2:gpu}",
	gpus_per_node = ${3:1},
	cpus_per_task = ${4:8},
	mem           = ${5:32GB},
	time          = ${6:4h},
)"""
_STAGES_RUNS = """\
stages {
	${1:export_onnx} requires ${2:training} runs ${3:src.stages.export_onnx}
}"""
_SAMPLE = """\
sample {
	utt_id: str
	${1:speech}: ${2:float32}[${3:time}]
	${4:text}:   str
}"""
_OPTIMIZER = "optimizer = torch.optim.${1|AdamW,Adam,SGD|}(lr = ${2:1e-3})"
_SCHEDULER = """\
scheduler = torch.optim.lr_scheduler.OneCycleLR(max_lr = optimizer.lr, total_steps = ${1:1000})
scheduler_interval = "step\""""
_DATALOADER = """\
dataloader {
	collate_fn = espnet3.components.data.collate.CommonCollateFn(int_pad_value = ${1:-1})
	train { batch_bins = ${2:4_000_000}  shuffle = true  num_workers = ${3:2} }
	valid { batch_size = ${4:16} }
}"""
_TRAINER = 'trainer { max_epochs = ${1:10}  accelerator = "${2|auto,cpu,gpu|}"  devices = ${3:1}  gradient_clip_val = ${4:5.0} }'
_TOKENIZER = """\
tokenizer {
	vocab_size         = ${1:500}
	character_coverage = ${2:1.0}
	model_type         = "${3|unigram,bpe,char,word|}"
	save_path          = "\\${data_dir}/tokenizer"
	text_builder { func = ${4:src.text.transcripts} }
}"""
_TEST = """\
test {
	${1:name} = ${2:dataset}(split = "${3:test}")
}"""
_PARTIAL = "${1:norm} = partial ${2:torch.nn.LayerNorm}(eps = ${3:1e-6})"
_STAGE_ON = "${1:train} on ${2:here}"
_STAGE_RUNS = "${1:export_onnx} requires ${2:training} runs ${3:src.stages.export_onnx}"
_STAGE_RUNNER = """\
${1:extract} on ${2:here} {
	runner   = ${3:src.extract.Runner}()
	provider = ${4:src.extract.Provider}()
	over     = ${5:training.dataset.train}
}"""
