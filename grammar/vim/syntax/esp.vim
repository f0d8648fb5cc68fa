" Vim syntax file
" Language: esp (speech recipes of esp3c)
" Made by grammar/make_editors.py from the words of the language: changes are made there.

if exists('b:current_syntax')
  finish
endif

let s:cpo_before = &cpo
set cpo&vim

syn case match
syn iskeyword @,48-57,_,192-255
" A text of several lines may begin anywhere above, and recipes are short.
syn sync fromstart
syn spell notoplevel

" -- Declarations: these words are themselves only where one begins ---------------------------------------------------

syn keyword espDeclaration nextgroup=espName skipwhite skipempty recipe
syn keyword espDeclaration nextgroup=espName skipwhite skipempty dataset
syn keyword espDeclaration nextgroup=espName skipwhite skipempty config
syn keyword espDeclaration nextgroup=espMachine skipwhite skipempty parallel
syn keyword espDeclaration nextgroup=espName skipwhite skipempty let
syn keyword espDeclaration nextgroup=espStages skipwhite skipempty stages
syn keyword espConfig nextgroup=espBlock skipwhite skipempty
  \ demo inference metrics publication training

syn match espName contained "\K\k*" nextgroup=espExtends,espAssign,espBlock skipwhite skipempty
syn keyword espExtends contained extends nextgroup=espBase skipwhite skipempty
syn match espBase contained "\K\k*" nextgroup=espBlock skipwhite skipempty
syn match espMachine contained "\K\k*" nextgroup=espMachineAssign skipwhite skipempty
syn match espMachineAssign contained "=" nextgroup=espBackend,@espValue skipwhite skipempty
syn keyword espBackend contained nextgroup=espSettings skipwhite skipempty
  \ dask htcondor local local_gpu lsf moab oar pbs sge slurm

" -- Stages ------------------------------------------------------------------------------------------------------------

syn region espStages contained matchgroup=espBracket start="{" end="}" fold contains=espStage,espOwnStage,espComment
syn match espOwnStage contained "\K\k*" nextgroup=@espBehindStage skipwhite skipempty
syn keyword espStage contained nextgroup=@espBehindStage skipwhite skipempty
  \ collect_stats create_dataset infer measure pack_demo pack_model train train_tokenizer upload_demo
  \ upload_model
syn keyword espClause contained nextgroup=espRequired skipwhite skipempty requires
syn keyword espClause contained nextgroup=espRuns skipwhite skipempty runs
syn keyword espClause contained nextgroup=espOn skipwhite skipempty on
syn match espRequired contained "\K\k*" nextgroup=espRequiredComma,@espBehindStage skipwhite skipempty
syn match espRequiredComma contained "," nextgroup=espRequired skipwhite skipempty
syn match espRuns contained "\K\k*\%(\_s*\.\_s*\K\k*\)*" nextgroup=@espBehindStage skipwhite skipempty
syn match espOn contained "\K\k*" nextgroup=@espBehindStage skipwhite skipempty
syn cluster espBehindStage contains=espClause,espBlock

" -- Blocks ------------------------------------------------------------------------------------------------------------

syn region espBlock contained matchgroup=espBracket start="{" end="}" fold contains=@espKeys,espNew,espComma,espComment
syn match espOwnKey contained "\K\k*" nextgroup=@espBehindKey skipwhite skipempty
syn match espQuotedKey contained +"[^"\\]*\%(\\.[^"\\]*\)*"+ nextgroup=@espBehindKey skipwhite skipempty
syn match espNew contained +\<new\>\ze\_s\+\%(\K\|"\)+ nextgroup=@espKeys skipwhite skipempty
syn keyword espBlockKey contained nextgroup=@espBehindKey skipwhite skipempty
  \ batches create_dataset dataloader dataset extra files iter_factory job_extra_directives max_time
  \ model optimizers options output_artifacts pack_demo pack_model parallel sample scheduler_options
  \ schedulers test tokenizer train trainer upload_demo upload_model val_check_interval valid yaml_files
syn keyword espHydraKey contained nextgroup=@espBehindKey skipwhite skipempty
  \ _args_ _convert_ _partial_ _recursive_ _target_
syn keyword espKey contained nextgroup=@espBehindKey skipwhite skipempty
  \ accelerator account accum_grad_steps accumulate_grad_batches address allow_overwrite
  \ array_parallelism attempts barebones batch_bins batch_sampler batch_size benchmark
  \ best_model_criterion builder callbacks cancel_command_extra character_coverage
  \ check_val_every_n_epoch checkpoint_every class collate_fn comment constraint cores cpus_per_gpu
  \ cpus_per_task data_dir data_src data_src_args dataset_dir days death_timeout default_root_dir
  \ dependency description detect_anomaly deterministic device devices dir_or_tag disk dist_world_size
  \ drop_last enable_autolog_hparams enable_checkpointing enable_model_summary enable_progress_bar env
  \ exclude exclusive exp_dir exp_tag fast_dev_run fit generator generator_first gpus_per_node
  \ gpus_per_task gradient_clip_algorithm gradient_clip_val gres hf_repo hours hyp_key idx_key in_order
  \ include include_model_detail inference_dir inference_mode init input_key inputs interface interval
  \ job_directives_skip job_name job_script_prologue limit_predict_batches limit_test_batches
  \ limit_train_batches limit_val_batches local_directory log_directory log_every_n_steps log_interval
  \ logger lsf_units mail_type mail_user max_bad_items max_epochs max_nan_steps max_steps mem
  \ mem_per_cpu mem_per_gpu memory memory_per_core_property_name metric metrics microseconds
  \ milliseconds min_batch_size min_epochs min_steps minutes model_registry model_type monitor
  \ multiple_iterator multiprocessing_context n_shards n_workers name nanny ncpus nodelist nodes
  \ not_secret ntasks_per_node num_device num_iters_per_epoch num_nodes num_sanity_val_steps num_threads
  \ num_workers optimizer out_dir output_fn output_keys over overfit_batches params partition
  \ persistent_workers pin_memory pin_memory_device plugins precision prefetch_factor preprocessor
  \ private processes profiler project protocol provider python qos queue readme recipe_dir ref_key
  \ reload_dataloaders_every_n_epochs remove_characters resource_spec resume runner sampler save_path
  \ scheduler scheduler_file scheduler_interval scheduler_monitor seconds seed setup shape_files
  \ shape_key shared_temp_directory shebang shuffle signal_delay_s sort_batch sort_by_length
  \ sort_in_batch source split srun_args stats_dir stderr_to_stdout step_every_n_iters strategy
  \ submit_command_extra sync_batchnorm system task teardown text_builder time timeout title
  \ total_shards transform trust_user_code type use_distributed_sampler use_srun use_stdin
  \ user_defined_symbols vocab_size walltime wckey weeks worker_command worker_extra_args worker_init_fn
  \ write_collected_feats
syn cluster espKeys contains=espOwnKey,espQuotedKey,espBlockKey,espHydraKey,espKey
syn cluster espBehindKey contains=espDot,espAssign,espOptional,espColon,espBlock
syn match espDot contained "\." nextgroup=@espKeys skipwhite skipempty
syn match espAssign contained "=" nextgroup=@espValue skipwhite skipempty
syn match espComma contained ","

" -- Fields of a sample ------------------------------------------------------------------------------------------------

syn match espOptional contained "?" nextgroup=espColon skipwhite skipempty
syn match espColon contained ":" nextgroup=espType,espOwnType skipwhite skipempty
syn match espOwnType contained "\K\k*" nextgroup=espDims skipwhite skipempty
syn keyword espType contained nextgroup=espDims skipwhite skipempty
  \ bfloat16 bool complex64 float float16 float32 float64 int int16 int32 int64 int8 str uint8
syn region espDims contained matchgroup=espBracket start="\[" end="\]" contains=espDim,espNumber,espComma,espComment
syn match espDim contained "\K\k*"

" -- Values ------------------------------------------------------------------------------------------------------------

syn cluster espValue contains=espReference,espCall,espPartial,espConstant,espNumber,@espText,espList,espBlock
syn match espReference contained "\K\k*\%(\_s*\.\_s*\K\k*\)*" nextgroup=espBlock skipwhite skipempty
syn match espCall contained "\K\k*\%(\_s*\.\_s*\K\k*\)*\ze\_s*(" nextgroup=espArguments skipwhite skipempty
syn keyword espPartial contained partial nextgroup=espCall,espReference skipwhite skipempty
syn keyword espConstant contained
  \ false null true
syn match espNumber contained "-\?\d[0-9_]*\%(\.\d[0-9_]*\)\?\%([eE][+-]\?\d\+\)\?\%(GiB\|KiB\|MHz\|MiB\|TiB\|kHz\|min\|GB\|Hz\|KB\|MB\|TB\|ms\|B\|d\|h\|s\)\?\>"

syn region espList contained matchgroup=espBracket start="\[" end="\]" fold contains=@espValue,espComma,espComment
syn region espArguments contained matchgroup=espBracket start="(" end=")" fold
  \ contains=@espValue,espArgument,espComma,espComment nextgroup=espBlock skipwhite skipempty
syn match espArgument contained "\K\k*\ze\_s*=" nextgroup=espAssign skipwhite skipempty
" Those of a backend are keys that are known.
syn region espSettings contained matchgroup=espBracket start="(" end=")" fold contains=@espKeys,espComma,espComment

" -- Text --------------------------------------------------------------------------------------------------------------

syn cluster espText contains=espString,espLongString,espSingleQuoted
syn cluster espInText contains=espEscape,espBadEscape,espDollar,espInterpolation,@Spell
syn match espSingleQuoted contained "'[^']*'\?"
syn region espString contained start=+"+ skip=+\\.+ end=+"+ end=+$+ keepend contains=@espInText
syn region espLongString contained start=+"""+ skip=+\\.+ end=+"""+ keepend fold contains=@espInText
syn match espBadEscape contained "\\."
syn match espEscape contained +\\\%([ntr"\\]\|u{\x\{1,6}}\|$\)+
syn match espDollar contained "\$\${"
syn region espInterpolation contained matchgroup=espInterpolationMark start="\${" end="}" oneline
  \ contains=espInterpolation,espInterpolationBraces
syn region espInterpolationBraces contained transparent start="{" end="}" oneline
  \ contains=espInterpolation,espInterpolationBraces

" -- Comments ----------------------------------------------------------------------------------------------------------

syn match espComment "#.*" contains=espTodo,espIgnore,@Spell
syn keyword espTodo contained TODO FIXME XXX NOTE
syn match espIgnore contained "\%(#\s*\)\@<=esp:\s*ignore\[[^]]*\]"

hi def link espDeclaration Keyword
hi def link espConfig Keyword
hi def link espClause Keyword
hi def link espExtends StorageClass
hi def link espNew StorageClass
hi def link espPartial StorageClass
hi def link espStage Function
hi def link espCall Function
hi def link espRuns Function
hi def link espBackend Type
hi def link espType Type
hi def link espBlockKey Structure
hi def link espHydraKey Special
hi def link espKey Identifier
hi def link espQuotedKey String
hi def link espConstant Constant
hi def link espNumber Number
hi def link espAssign Operator
hi def link espMachineAssign Operator
hi def link espOptional Operator
hi def link espString String
hi def link espLongString String
hi def link espSingleQuoted Error
hi def link espEscape SpecialChar
hi def link espDollar SpecialChar
hi def link espBadEscape Error
hi def link espInterpolation Identifier
hi def link espInterpolationMark Special
hi def link espComment Comment
hi def link espTodo Todo
hi def link espIgnore SpecialComment

let b:current_syntax = 'esp'

let &cpo = s:cpo_before
unlet s:cpo_before
