"""The system of speech recognition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espnet3.systems.base.system import BaseSystem, refuse_arguments

if TYPE_CHECKING:
    from omegaconf import DictConfig


class ASRSystem(BaseSystem):
    """The base system with a stage that trains a tokenizer; see `BaseSystem` for its arguments."""

    def __init__(
        self,
        training_config: DictConfig | None = None,
        inference_config: DictConfig | None = None,
        metrics_config: DictConfig | None = None,
        publication_config: DictConfig | None = None,
        stage_log_mapping: dict[str, Any] | None = None,
        demo_config: DictConfig | None = None,
        **further_configs: DictConfig | None,
    ) -> None:
        super().__init__(
            training_config=training_config,
            inference_config=inference_config,
            metrics_config=metrics_config,
            publication_config=publication_config,
            stage_log_mapping={"train_tokenizer": "training_config.exp_dir", **(stage_log_mapping or {})},
            demo_config=demo_config,
            **further_configs,
        )

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train the model; refused while a tokenizer that the config names has not been trained."""
        from espnet3.systems.asr.tokenizer_training import check_tokenizer

        refuse_arguments("train", args, kwargs)
        check_tokenizer(self._needed("train", "training_config"))
        return super().train()

    def train_tokenizer(self, *args: Any, **kwargs: Any) -> None:
        """Train the tokenizer that the training config describes."""
        from espnet3.systems.asr.tokenizer_training import train_tokenizer

        refuse_arguments("train_tokenizer", args, kwargs)
        train_tokenizer(self._needed("train_tokenizer", "training_config"))
