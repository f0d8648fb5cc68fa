"""The system of this recipe: that of speech recognition with a stage before the training."""

from espnet3.systems.asr.system import ASRSystem

from src.stages import prepare_alignment_stage


class AlignmentSystem(ASRSystem):
    """`ASRSystem`, and `prepare_alignment`."""

    def prepare_alignment(self) -> None:
        """Find the words of each utterance, which the training needs for its labels."""
        prepare_alignment_stage(self.training_config)
