"""The system with a stage of its own."""

from pathlib import Path

from espnet3.systems.base.system import BaseSystem


class VocoderSystem(BaseSystem):
    """Prepares its filters before it trains."""

    def prepare_filters(self) -> None:
        """Writes the centres of the filters."""
        settings = self.training_config.prepare_filters
        folder = Path(settings.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "centres.txt").write_text("\n".join(str(number) for number in range(settings.count)))
