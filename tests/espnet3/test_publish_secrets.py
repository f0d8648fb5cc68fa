"""What is found in files and configs before they are packed, and what is not mistaken for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from espnet3.publication.secrets import secret_file, secret_in_file, secret_in_text, secrets_in_config
from espnet3.utils.errors import ConfigError
from espnet3.utils.publish_utils import pack_model
from support.packable import Packable, packable

# Put together here, so that nothing that reads this file takes them for real.
_JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3" + "." + "c2lnbmF0dXJl"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packable:
    folder = tmp_path / "levels"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return packable(folder)


@pytest.mark.parametrize(
    "text",
    [
        "WANDB_API_KEY=" + "0123456789abcdef" * 2, "password=hunter2", "password = 'hunter2'.strip()",
        '"password": "hunter2"', "password: hunter2", "DB_PASSWORD: s3cr3t!", 'os.environ["WANDB_API_KEY"] = "abcdef123"',
        "postgres://u:p@h", "url = 'mysql+pymysql://root:abc123@db:3306/x'", "AKIA" + "ABCD1234EFGH5678",
        "ASIA" + "ABCD1234EFGH5678", "aws_secret_access_key = wJal/K7MDENG/bPxRfi", "AIza" + "Sy_-" * 8 + "abc",
        "ya29." + "a0AfB" * 5, f"header: {_JWT}", "npm_" + "aB3" * 12, "pypi-" + "AgEIcHlw" * 8, "xoxb-" + "1234567890-abcdefghij",
        "https://hooks.slack." + "com/services/T0001/B0001/" + "a1B2" * 6, "hf_" + "abc" * 12, "ghp_" + "aB3" * 12,
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----", "machine api.wandb.ai login user password abc",
        "Authorization: Bearer " + "abcdef1234567890abcdef", "export GITHUB_TOKEN=" + "abc123" * 5, '{"apiKey": "abcd1234"}',
    ],
)  # fmt: skip
def test_forms_that_are_found(text: str, tmp_path: Path) -> None:
    """In a text, on whichever line, and in other encodings."""
    found = secret_in_text(f"# a comment\n{text}\n")
    assert found is not None and found.place == "line 2"
    for encoding in ("latin-1", "utf-16"):
        path = tmp_path / f"{encoding}.txt"
        path.write_bytes(f"caf\u00e9\n{text}\n".encode(encoding))
        assert secret_in_file(path) is not None


@pytest.mark.parametrize(
    "text",
    [
        "token:", "<blank> 0", "password", "password 17", "token: <unk>", 'PAD_TOKEN = "<pad>"', 'bos_token: "<s>"',
        "EOS_TOKEN = 5", "num_tokens=1234", "max_token_length = 200", "tokens_per_second = 10", "token = tokens[index]",
        "utt1 MY SECRET KEY", "utt1 the password: is swordfish", '{"key": "utt1", "text": "my password is secret"}',
        "password = None", 'password=os.environ["X"]', "def f(password: str, api_key: str | None = None):", "api_key: str",
        "    password=password,", "password = getpass()", "self.password = password", "secret_key=${oc.env:K}",
        "https://user:password@host/", "http://host:8080/x@y", "access_token: null", "use_auth_token: true",
        "HF_TOKEN=$HF_TOKEN", "WANDB_API_KEY=<your key>", 'api_key="YOUR_API_KEY"', 'key="abc123"', "attention_key: query_1",
        'password_file = "/a/b"', "private_key: ./keys/a", "sk-learn-pipeline-with-many-steps-and-more-words",
    ],
)  # fmt: skip
def test_what_is_normal_for_speech_and_for_programs(text: str) -> None:
    """A list of tokens, a transcript with such words, a program that asks for a password."""
    assert secret_in_text(text) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".env", True), ("prod.env", True), (".env.local", True), (".env.example", False), ("_netrc", True), (".netrc", True),
        (".aws/credentials", True), (".aws/config", True), (".ssh/known_hosts", True), ("credentials.json", True),
        ("client_secret_1.json", True), ("secrets.yaml", True), ("server.pem", True), ("id_ed25519", True), (".npmrc", True),
        ("tokens.txt", False), ("environment.yaml", False), ("src/env.py", False), ("src/credentials.py", False),
        ("secret_santa.wav", False), ("keys.txt", False),
    ],
)  # fmt: skip
def test_names_of_files_that_keep_secrets(name: str, expected: bool, tmp_path: Path) -> None:
    """The name of what a link leads to counts as well."""
    assert secret_file(Path(name)) is expected
    path = tmp_path / "there" / name
    path.parent.mkdir(parents=True)
    path.write_text("", encoding="utf-8")
    (tmp_path / "notes.txt").symlink_to(path)
    assert secret_file(tmp_path / "notes.txt") is expected


def test_files_of_any_size(tmp_path: Path) -> None:
    """Deep in a long text, across the blocks in which it is read, and between weights."""
    secret = b"\npassword = hunter2x\n"
    line = b"utt1 a line of a transcript\n"
    for before in (4 * 2**20 - 10, 9 * 2**20):
        path = tmp_path / "long.txt"
        path.write_bytes((line * (before // len(line) + 1))[:before] + secret + line)
        found = secret_in_file(path)
        assert found is not None
        assert found.place == f"line {path.read_bytes().split(b'password')[0].count(bytes([10])) + 1}"
    weights = os.urandom(2**20)
    path.write_bytes(weights)
    assert secret_in_file(path) is None
    path.write_bytes(weights + b"\0\0hyper_parameters\0api_key='abc123def'\0" + weights)
    assert str(secret_in_file(path)) == "a value of 'api_key', which may be a secret (binary data)"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"password": 1234}, "a.password"), ({"api_key": ["x", "y"]}, "a.api_key[0]"), ({"apiKey": "x"}, "a.apiKey"),
        ({"credentials": {"user": "me"}}, "a.credentials.user"), ({"wandb_api_key": "x"}, "a.wandb_api_key"),
        ({"b": [{"db": "postgres://u:p@h"}]}, "a.b[0].db"), ({"token": "abc123" * 5}, "a.token"),
    ],
)  # fmt: skip
def test_values_of_a_config(value: dict[str, Any], place: str) -> None:
    assert [found.place for found in secrets_in_config({"a": value})][:1] == [place]


def test_values_of_a_config_that_say_nothing() -> None:
    harmless = {"password": None, "use_auth_token": True, "token": "<unk>", "private_key": "./keys/a", "api_key": ""}
    assert list(secrets_in_config(harmless)) == []


def test_yaml_that_is_packed_as_it_is(tmp_path: Path) -> None:
    """A list under such a name is read as YAML, which a search for text would miss; one that holds itself is read, too."""
    path = tmp_path / "own.yaml"
    path.write_text("passwords:\n  - abc\n", encoding="utf-8")
    assert str(secret_in_file(path)) == "by its name, a passwords (passwords[0])"
    path.write_text("a: &a\n  b: *a\n", encoding="utf-8")
    assert secret_in_file(path) is None


def test_what_is_doubtful_stops_the_pack_until_it_is_allowed(recipe: Packable) -> None:
    """The message has the place and the way; the same holds for a key of a config, and for a file by its name."""
    source = recipe.folder / "src" / "words.py"
    source.write_text(source.read_text(encoding="utf-8") + "password = 'swordfish'\n", encoding="utf-8")
    (recipe.folder / "data" / "prod.env").write_text("RATE=8000\n", encoding="utf-8")
    recipe.inference.service = {"password": "swordfish"}
    settings: dict[str, Any] = {"out_dir": "./exp/ctc/model_pack", "files": {"env": "data/prod.env"}}
    allowed: list[str] = []
    for message, pattern in (
        (
            r"service\.password of the inference config holds .* name the key in pack_model\.not_secret",
            "service.password",
        ),
        (r"data/prod\.env is, by its name, .* name it in pack_model\.not_secret", "data/*.env"),
        (
            r"words\.py holds a value of 'password', .* \(line 2\).* name the file in pack_model\.not_secret",
            "src/words.py",
        ),
    ):
        recipe.publication.pack_model = OmegaConf.create({**settings, "not_secret": list(allowed)})
        with pytest.raises(ConfigError, match=message):
            pack_model(*recipe.configs())
        allowed.append(pattern)
    recipe.publication.pack_model.not_secret = allowed

    assert (pack_model(*recipe.configs()) / "data" / "prod.env").is_file()


def test_what_is_left_out_of_a_folder_is_said(recipe: Packable, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, as a link to such a file, and as a link to what is left out itself."""
    notes = recipe.folder / "notes"
    (notes / ".aws").mkdir(parents=True)
    for name in ("a.md", "_netrc", ".aws/credentials", "big.tmp"):
        (notes / name).write_text("x", encoding="utf-8")
    (notes / "login.txt").symlink_to("_netrc")
    (notes / "copy.md").symlink_to("big.tmp")
    (notes / "same.md").symlink_to("a.md")
    recipe.publication.pack_model.include = ["notes"]
    recipe.publication.pack_model.exclude = ["*.tmp"]
    bundle = pack_model(*recipe.configs())

    assert sorted(path.name for path in (bundle / "notes").rglob("*")) == ["a.md", "same.md"]
    said = capsys.readouterr().out
    for name in ("_netrc", ".aws/credentials", "login.txt"):
        assert f"notes/{name} is left out" in said
    assert "notes/copy.md is left out: it is a link to notes/big.tmp, which is left out" in said

    recipe.publication.pack_model.include = ["notes/login.txt"]
    with pytest.raises(
        ConfigError, match=r"notes/login\.txt leads to .*_netrc, which is, by its name, a file that keeps"
    ):
        pack_model(*recipe.configs())


def test_the_scores_are_looked_at(recipe: Packable) -> None:
    scores = recipe.folder / "exp" / "ctc" / "inference" / "metrics.json"
    scores.write_text('{"src.Metric": {"clean": {"url": "postgres://u:p@h"}}}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"metrics\.json holds an address with a password"):
        pack_model(*recipe.configs())
