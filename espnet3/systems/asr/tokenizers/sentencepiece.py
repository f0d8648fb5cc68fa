"""SentencePiece: from text to a model and a list of tokens."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from esp3rt.files import replacing, write_bytes, write_text
from espnet3.utils.errors import ConfigError, did_you_mean, listed

MODEL_TYPES = ("bpe", "unigram", "char", "word")
_BLANK, _UNKNOWN, _EDGE = "<blank>", "<unk>", "<sos/eos>"
_SENTENCES = "train.txt"


def prepare_sentences(
    dump_text_paths: Sequence[str | Path], output_path: str | Path, remove_characters: str = ""
) -> Path:
    """Gather the sentences of Kaldi-style text files (`utt_id sentence` a line) for training a tokenizer.

    Args:
        dump_text_paths: The text files.
        output_path: The folder for the result.
        remove_characters: Characters that are left out of the sentences.

    Returns:
        The file `<output_path>/train.txt`, one sentence a line, without empty ones.
    """
    removed = str.maketrans("", "", remove_characters)
    path = Path(output_path) / _SENTENCES
    with replacing(path) as handle:
        for source in dump_text_paths:
            with open(source, encoding="utf-8") as lines:
                for line in lines:
                    sentence = line.rstrip("\n").partition(" ")[2].translate(removed).strip()
                    if sentence:
                        handle.write(sentence + "\n")
    return path


def train_sentencepiece(
    dump_text_path: str | Path,
    save_path: str | Path,
    vocab_size: int = 5000,
    character_coverage: float = 1.0,
    model_type: str = "bpe",
    user_defined_symbols: Sequence[str] = (),
) -> None:
    """Train a SentencePiece model on a file of sentences.

    Under `save_path` it writes `<model_type>.model`, `<model_type>.vocab` (a piece and its score a line)
    and, last, `tokens.txt`: `<blank>`, `<unk>`, the pieces in the model's order, `<sos/eos>`.

    Args:
        dump_text_path: One sentence a line.
        save_path: The folder for the results.
        vocab_size: How many pieces the model has, its own special ones included.
        character_coverage: The share of all characters that must have a piece, in (0, 1].
        model_type: "bpe", "unigram", "char" or "word".
        user_defined_symbols: Symbols that always are a piece of their own.

    Raises:
        ConfigError: The type is unknown, the file has no sentence, or the trainer refuses (a vocabulary
            that is too large for the text, most often); its reason is in the message.
    """
    import sentencepiece

    if model_type not in MODEL_TYPES:
        raise ConfigError(
            f"tokenizer.model_type is {model_type!r}; there are {listed(MODEL_TYPES)}"
            f"{did_you_mean(str(model_type), MODEL_TYPES)}"
        )
    sentences = list(_sentences(Path(dump_text_path)))
    if not sentences:
        raise ConfigError(f"{dump_text_path} has no sentence to train a tokenizer on")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=vocab_size,
            character_coverage=character_coverage,
            model_type=model_type,
            user_defined_symbols=list(user_defined_symbols),
            # Whole sentences count, however many there are: the same text gives the same model.
            input_sentence_size=0,
            max_sentence_length=1 << 20,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise ConfigError(
            f"SentencePiece cannot train a {model_type} model of vocab_size {vocab_size} on {dump_text_path} "
            f"({len(sentences)} sentences): {reason}"
        ) from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(index) for index in range(processor.get_piece_size())]
    folder = Path(save_path)
    write_bytes(folder / f"{model_type}.model", model.getvalue())
    vocab = "".join(f"{piece}\t{processor.get_score(index):g}\n" for index, piece in enumerate(pieces))
    write_text(folder / f"{model_type}.vocab", vocab)
    # The trainer's own special pieces have their names here.
    own = [piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")]
    write_text(folder / "tokens.txt", "".join(f"{token}\n" for token in (_BLANK, _UNKNOWN, *own, _EDGE)))


def add_special_tokens(
    tokenizer: Any,
    converter: Any,
    embedding: Any,
    special_tokens: Sequence[str],
    insert_after: str | None = None,
) -> tuple[Any, Any, Any]:
    """Make new tokens known to a tokenizer, to the list of tokens and to an embedding.

    Tokens that are known already are passed over. The objects given are left as they are.

    Args:
        tokenizer: A SentencePiece processor, or an object with one as `sp`.
        converter: An object with `token_list` and `token2id`.
        embedding: A `torch.nn.Embedding` with one row for each token of the list; the new rows are the mean
            of the old ones.
        special_tokens: The new tokens.
        insert_after: The token behind which they come in the list and the embedding; the end, if it is
            None.

    Returns:
        The new tokenizer, converter and embedding.

    Raises:
        ConfigError: `insert_after` is no token, or list and embedding do not have the same length.
    """
    tokens = list(converter.token_list)
    if len(tokens) != embedding.num_embeddings:
        raise ConfigError(f"{len(tokens)} tokens but {embedding.num_embeddings} rows in the embedding")
    if insert_after is not None and insert_after not in tokens:
        near = did_you_mean(insert_after, tokens)
        raise ConfigError(f"insert_after: there is no token {insert_after!r}{near}")
    new = [token for token in dict.fromkeys(special_tokens) if token not in tokens]
    position = len(tokens) if insert_after is None else tokens.index(insert_after) + 1
    tokens[position:position] = new
    new_converter = copy.copy(converter)
    new_converter.token_list = tokens
    new_converter.token2id = {token: index for index, token in enumerate(tokens)}
    return _with_pieces(tokenizer, new), new_converter, _with_rows(embedding, position, len(new))


def sentences_of(built: object, path: Path) -> Path:
    """Bring what a `text_builder` gave into a file of sentences.

    Args:
        built: A path of such a file, or the lines themselves.
        path: Where lines are written.

    Returns:
        The file.

    Raises:
        ConfigError: It is neither, or there is no such file.
    """
    if isinstance(built, str | Path):
        if not Path(built).is_file():
            raise ConfigError(f"tokenizer.text_builder returned {built}, which is no file")
        return Path(built)
    if not isinstance(built, Iterable):
        raise ConfigError(
            f"tokenizer.text_builder returned a {type(built).__name__}; it must return the path of a text "
            "file, or lines"
        )
    with replacing(path) as handle:
        for line in built:
            handle.write(f"{str(line).strip()}\n")
    return path


def _sentences(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if sentence := line.strip():
                yield sentence


def _with_pieces(tokenizer: Any, tokens: Sequence[str]) -> Any:
    import sentencepiece

    format_module: Any = import_module("sentencepiece.sentencepiece_model_pb2")
    wrapped = not isinstance(tokenizer, sentencepiece.SentencePieceProcessor)
    load = getattr(tokenizer, "_build_sentence_piece_processor", None)
    if wrapped and load is not None and getattr(tokenizer, "sp", None) is None:
        # ESPnet2's tokenizer reads its model with the first use.
        load()
    processor = tokenizer.sp if wrapped else tokenizer
    proto = format_module.ModelProto()
    proto.ParseFromString(processor.serialized_model_proto())
    known = {piece.piece for piece in proto.pieces}
    for token in tokens:
        if token not in known:
            piece = proto.pieces.add()
            piece.piece, piece.score = token, 0.0
            piece.type = format_module.ModelProto.SentencePiece.USER_DEFINED
    new = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    if not wrapped:
        return new
    outer = copy.copy(tokenizer)
    outer.sp = new
    return outer


def _with_rows(embedding: Any, position: int, count: int) -> Any:
    import torch

    if not count:
        return embedding
    old = embedding.weight.detach()
    rows = old.mean(dim=0, keepdim=True).expand(count, -1)
    weight = torch.cat([old[:position], rows, old[position:]])
    padding = embedding.padding_idx
    if padding is not None and padding >= position:
        padding += count
    new = torch.nn.Embedding(
        num_embeddings=weight.shape[0],
        embedding_dim=weight.shape[1],
        padding_idx=padding,
        max_norm=embedding.max_norm,
        norm_type=embedding.norm_type,
        scale_grad_by_freq=embedding.scale_grad_by_freq,
        sparse=embedding.sparse,
        _weight=weight.clone(),
    )
    new.weight.requires_grad_(embedding.weight.requires_grad)
    return new.train(embedding.training)
