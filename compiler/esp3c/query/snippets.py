"""Declarations to begin with, each as a whole: taken with its defaults, it parses."""

from __future__ import annotations

from esp3c.record import record


@record
class Snippet:
    """Text with places to fill in. `word` begins it; `once`: the name that there is only one of."""

    label: str
    word: str
    detail: str
    body: str
    once: str = ""


SNIPPETS = (
    Snippet(
        "recipe", "recipe", "the experiment and its System",
        "recipe ${1:name} {\n  system  = ${2:espnet3.systems.asr.system.ASRSystem}\n"
        '  exp_tag = "${3:base}"\n  seed    = ${4:2026}\n}\n$0',
        once="recipe",
    ),
    Snippet(
        "dataset", "dataset", "a dataset: its class, its builder, what an item holds",
        "dataset ${1:name} {\n  class   = ${2:dataset.dataset.Dataset}\n"
        "  builder = ${3:dataset.builder.Builder}($4)\n\n"
        "  sample {\n    utt_id: str\n    ${5:speech}: float32[${6:time}]\n    ${7:text}: str\n  }\n}\n$0",
    ),
    Snippet(
        "dataset … source", "dataset", "a dataset that another recipe or a module has",
        'dataset ${1:name} {\n  source = "${2:recipe/task}"\n  create_dataset { $3 }\n}\n$0',
    ),
    Snippet(
        "training", "training", "what is trained, on what, and how",
        "training {\n  dataset {\n"
        '    train = [${1:name}(split = "${2:train}")]\n    valid = [$1(split = "${3:valid}")]\n  }\n\n'
        "  model     = ${4:src.model.Model}($5)\n"
        "  optimizer = torch.optim.${6:AdamW}(lr = ${7:1e-3})\n\n"
        "  dataloader {\n    collate_fn = espnet3.components.data.collate.CommonCollateFn(int_pad_value = ${8:-1})\n"
        "    train { batch_size = ${9:16}  shuffle = true }\n    valid { batch_size = ${10:16} }\n  }\n\n"
        "  trainer { max_epochs = ${11:10} }\n"
        '  best_model_criterion = [["${12:valid/loss}", 1, "${13:min}"]]\n}\n$0',
        once="training",
    ),
    Snippet(
        "inference", "inference", "the test sets, and what is done with each item",
        'inference {\n  dataset {\n    test {\n      ${1:test} = ${2:name}(split = "${3:test}")\n    }\n  }\n\n'
        '  model     = ${4:src.inference.Model}(checkpoint = "${5:\\${exp_dir\\}/last.ckpt}")\n'
        '  input_key = "${6:speech}"\n  output_fn = ${7:src.inference.build_output}\n}\n$0',
        once="inference",
    ),
    Snippet(
        "metrics", "metrics", "what is measured of the outputs",
        "metrics {\n  metrics = [\n"
        '    ${1:espnet3.systems.asr.metrics.wer.WER}(ref_key = "${2:ref}", hyp_key = "${3:hyp}"),\n  ]\n}\n$0',
        once="metrics",
    ),
    Snippet(
        "publication", "publication", "the bundle, and where it is published",
        'publication {\n  pack_model { out_dir = "${1:\\${exp_dir\\}/model_pack}" }\n'
        '  upload_model { hf_repo = "${2:owner/name}" }\n}\n$0',
        once="publication",
    ),
    Snippet(
        "demo", "demo", "a page that shows the model",
        'demo {\n  title = "${1:Title}"\n  pack_demo { out_dir = "${2:\\${exp_dir\\}/demo}" }\n}\n$0',
        once="demo",
    ),
    Snippet("config", "config", "a config of one's own", "config ${1:name} {\n  ${2:key} = ${3:1}\n}\n$0"),
    Snippet(
        "config … extends", "config", "a config that changes another one",
        "config ${1:name} extends ${2:training} {\n  ${3:trainer.max_epochs} = ${4:2}\n}\n$0",
    ),
    Snippet("parallel … local", "parallel", "processes of this machine", "parallel ${1:here} = local(n_workers = ${2:4})\n$0"),
    Snippet(
        "parallel … slurm", "parallel", "jobs of a SLURM cluster",
        'parallel ${1:cluster} = slurm(\n  n_workers     = ${2:4},\n  partition     = "${3:gpu}",\n'
        "  time          = ${4:12h},\n  mem           = ${5:32GB},\n  cpus_per_task = ${6:8},\n"
        "  gpus_per_node = ${7:1},\n)\n$0",
    ),
    Snippet("let", "let", "a value with a name", "let ${1:name} = ${2:1}\n$0"),
    Snippet(
        "stages", "stages", "what is run, in this order",
        "stages {\n  create_dataset\n  collect_stats\n  train\n  infer\n  measure\n  $0\n}",
        once="stages",
    ),
)  # fmt: skip
