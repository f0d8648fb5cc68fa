"""Bundles and pages to and from a model hub, through huggingface_hub.

`HF_ENDPOINT` names another hub than the usual one, `HF_TOKEN` the token; without it, the one of `hf auth login` is taken.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any

from esp3rt.progress import console_line
from espnet3.publication.contents import size_in_words
from espnet3.publication.foreign import LARGEST_META, BundleError, read_yaml
from espnet3.publication.sealed_folder import META, checked_meta, read_meta, verify
from espnet3.utils.errors import ConfigError

# What the hub takes as one file.
_LARGEST = 50 * 10**9
_INSTALL = "install the package huggingface_hub (pip install 'esp3c[publication]')"


def upload(folder: Path, repo: str, *, private: bool, kind: str, stage: str) -> str:
    """Make a sealed folder the content of a repository, in one commit.

    The repository is made if it is not there. Files of the bundle that stood there before are removed, as its `meta.yaml`
    names them; whatever else the repository holds stays.

    Args:
        folder: A sealed folder; it is verified first.
        repo: `owner/name`.
        private: Whether the repository must be seen by its owner only. One that is made here is; one that is there and
            public is refused.
        kind: "model" or "space".
        stage: The stage's name, for messages.

    Returns:
        The address of the commit.

    Raises:
        BundleError: The folder is damaged, or something was added to it.
        ConfigError: The package or the token is missing, the repository is public and must not be, or the hub refuses.
    """
    hub = _hub()
    meta = read_meta(folder)
    verify(folder, meta)
    names = [META, *map(str, meta["sha256"])]
    for name in names:
        if (folder / name).stat().st_size > _LARGEST:
            raise ConfigError(f"{stage}: {name} is larger than {size_in_words(_LARGEST)}, which the hub does not take")
    api = hub.HfApi(endpoint=_endpoint())
    if hub.get_token() is None:
        raise ConfigError(f"{stage}: no token for the hub; set HF_TOKEN to one that may write, or run `hf auth login`")
    total = sum((folder / name).stat().st_size for name in names)
    console_line(f"{stage}: {len(names)} files, {size_in_words(total)}, to {repo}")
    try:
        space = {"space_sdk": "gradio"} if kind == "space" else {}
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **space)
        if private and not api.repo_info(repo, repo_type=kind).private:
            raise ConfigError(
                f"{stage}: {repo} is there and public, but {stage}.private is true; make it private on the hub, name "
                f"another repository, or set {stage}.private to false",
                key=f"{stage}.private",
            )
        there = set(api.list_repo_files(repo, repo_type=kind))
        gone = sorted((_packed_before(api, repo, kind) & there) - set(names)) if META in there else []
        operations = [hub.CommitOperationAdd(name, folder / name) for name in names]
        operations += [hub.CommitOperationDelete(name) for name in gone]
        done = api.create_commit(repo, operations, commit_message=f"{stage} by espnet3", repo_type=kind)
    except hub.errors.HfHubHTTPError as error:
        raise ConfigError(f"{stage}: {_refusal(error, repo)}") from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{stage}: {repo}: {error}") from error
    except _connection_errors() as error:
        raise ConfigError(f"{stage}: the hub {api.endpoint} cannot be reached: {error}") from error
    console_line(f"{stage}: {done.commit_url}")
    return str(done.commit_url)


def fetch(tag: str) -> Path:
    """Fetch a bundle, or take it from the cache.

    Args:
        tag: `owner/name`, or `owner/name@revision`.

    Raises:
        ConfigError: The package is missing, or the hub has no such model, does not hand it out, or cannot be reached.
    """
    hub = _hub()
    repo, _, revision = tag.partition("@")
    where = {"revision": revision or None, "endpoint": _endpoint()}
    try:
        # What somebody has put beside the bundle is not fetched: only what its meta.yaml names is verified.
        meta = _meta(Path(hub.hf_hub_download(repo, META, **where)), tag)
        patterns = [glob.escape(name) for name in [META, *meta["sha256"]]]
        return Path(hub.snapshot_download(repo, allow_patterns=patterns, **where))
    except hub.errors.EntryNotFoundError as error:
        raise ConfigError(f"{tag} holds no {META}, so it is no bundle") from error
    except hub.errors.HfHubHTTPError as error:
        raise ConfigError(_refusal(error, repo)) from error
    except hub.errors.HFValidationError as error:
        raise ConfigError(f"{tag!r} is neither a folder nor a model of the hub (`owner/name`)") from error
    except hub.errors.LocalEntryNotFoundError as error:
        raise ConfigError(f"{tag} is not in the cache, and the hub cannot be reached: {error}") from error


def _packed_before(api: Any, repo: str, kind: str) -> set[str]:
    """The files of the bundle that stands in a repository; none where its `meta.yaml` is of something else."""
    path = Path(api.hf_hub_download(repo, META, repo_type=kind))
    try:
        return set(_meta(path, repo)["sha256"])
    except BundleError:
        return set()


def _meta(path: Path, where: str) -> dict[str, Any]:
    return checked_meta(read_yaml(path, LARGEST_META), f"the {META} of {where}")


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ModuleNotFoundError:
        raise ConfigError(f"to speak with the model hub, {_INSTALL}") from None
    return huggingface_hub


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _refusal(error: Any, repo: str) -> str:
    status = error.response.status_code if error.response is not None else None
    if status == 401:
        return f"{repo}: the hub does not know the token, or there is no such repository; set HF_TOKEN to one that is valid"
    if status == 403:
        return f"{repo}: the token may not do this; make one that may write to {repo.split('/')[0]}"
    if status == 404:
        return f"the hub has no {repo}; correct the name, or use a token that may see it"
    reason = str(getattr(error, "server_message", None) or error).strip().splitlines()
    return f"{repo}: the hub answers {status}: {reason[0] if reason else ''}"


def _connection_errors() -> tuple[type[BaseException], ...]:
    found: list[type[BaseException]] = [ConnectionError, TimeoutError]
    for name in ("httpx2", "httpx"):
        # Which of the two it uses is its own affair.
        try:
            module = __import__(name)
        except ModuleNotFoundError:
            continue
        found.append(module.TransportError)
    return tuple(found)
