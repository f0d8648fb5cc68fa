"""A page on which a recording is made or uploaded, and its text is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, UserError

if TYPE_CHECKING:
    import gradio

    from espnet3.publication.inference_model import InferenceModel

_HYPOTHESIS = "hyp"


def demo_page(model: InferenceModel, title: str = "", description: str = "") -> gradio.Blocks:
    """The page for a model that takes a recording.

    Nothing is fetched from elsewhere, and no usage is reported.

    Args:
        model: The model.
        title: Stands above.
        description: Markdown under the title.

    Returns:
        The page; `launch()` serves it.

    Raises:
        ConfigError: The package gradio is missing.
    """
    try:
        import gradio
    except ModuleNotFoundError:
        raise ConfigError("a page needs the package gradio: install it with pip install 'esp3c[demo]'") from None

    def transcribe(path: str | None) -> str:
        if not path:
            raise gradio.Error("Record something, or upload a file.")
        try:
            return text_of(model(Path(path)))
        except UserError as error:
            raise gradio.Error(str(error)) from error

    page = gradio.Blocks(title=title, analytics_enabled=False)
    with page:
        if title:
            gradio.Markdown(f"# {title}")
        if description:
            gradio.Markdown(description)
        recording = gradio.Audio(sources=["upload", "microphone"], type="filepath", label="Recording")
        button = gradio.Button("Transcribe", variant="primary")
        text = gradio.Textbox(label="Text", interactive=False)
        button.click(transcribe, recording, text, api_name="transcribe")
    return page


def text_of(output: Any) -> str:
    """What a person reads of an output: the hypothesis, or all fields."""
    if isinstance(output, list | tuple) and len(output) == 1:
        output = output[0]
    if not isinstance(output, Mapping):
        return str(output)
    if _HYPOTHESIS in output:
        return str(output[_HYPOTHESIS])
    return "\n".join(f"{key}: {value}" for key, value in output.items())
