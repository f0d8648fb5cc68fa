"""`textDocument/signatureHelp`: signatures and the active parameter, for what a client can do."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from esp3c.lsp import signature_help
from support.editor import editor, identifier, opened
from support.marks import RECIPE, WORLD, marked

OPEN = RECIPE.replace("src.model.Recognizer(n_mels = 80, hidden_size = size)", "src.model.Recognizer(n_mels = 80, |)")


def asked(text: str, **information: Any) -> types.SignatureHelp | None:
    able = types.SignatureHelpClientCapabilities(
        signature_information=types.ClientSignatureInformationOptions(**information)
    )
    server = editor(WORLD, signature_help=able)
    plain, (place,) = marked(text)
    document = opened(server, plain)
    return signature_help.handle(
        server, types.SignatureHelpParams(identifier(document), document.lines.position(place))
    )


def test_the_argument_at_the_cursor_is_active() -> None:
    found = asked(OPEN)
    assert found is not None and found.active_signature == 0
    signature = found.signatures[0]
    assert signature.label.startswith("Recognizer(n_mels: int = 80, hidden_size: int = 192")
    assert signature.parameters is not None
    active = signature.parameters[found.active_parameter or 0]
    assert active.label == "hidden_size: int = 192"
    assert active.documentation == "the width."
    assert signature.documentation == "Reads digits."
    assert signature.active_parameter is None


def test_labels_are_places_where_the_client_takes_them() -> None:
    found = asked(
        OPEN,
        parameter_information=types.ClientSignatureParameterInformationOptions(label_offset_support=True),
        documentation_format=[types.MarkupKind.Markdown],
        active_parameter_support=True,
    )
    assert found is not None
    signature = found.signatures[0]
    assert signature.parameters is not None and signature.active_parameter == 1
    start, end = signature.parameters[1].label
    assert signature.label[start:end] == "hidden_size: int = 192"
    assert isinstance(signature.documentation, types.MarkupContent)


def test_none_of_them_is_active_where_all_are_given() -> None:
    found = asked(RECIPE.replace('spoken(split = "valid")', 'spoken(split = "valid", size = 1, |)'))
    assert found is not None and found.signatures[0].parameters is not None
    assert found.active_parameter == len(found.signatures[0].parameters)


def test_outside_of_calls_there_is_none() -> None:
    assert asked("training { | }") is None
    server = editor(WORLD)
    server.documents.open("file:///a.py", 1, "f(")
    params = types.SignatureHelpParams(types.TextDocumentIdentifier("file:///a.py"), types.Position(0, 2))
    assert signature_help.handle(server, params) is None
