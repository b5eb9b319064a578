"""A LoRA adapter as a model of its own: merged into its base once and kept in the cache. Torch-free."""

from __future__ import annotations

from pathlib import Path

from llm_holes.engine.checkpoint import adapter, download, installed, validate
from llm_holes.engine.checkpoint.hashes import weights_hash
from llm_holes.engine.checkpoint.installed import ModelFiles, Report, weight_format
from llm_holes.engine.disk import hub_cache
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status


def merged(path: Path, name: str, source: str, base: ModelFiles, report: Report) -> ModelFiles:
    """The adapter in the folder `path`, merged into its base. Raises ModelError."""
    checkpoint = validate.check(Path(base.folder))
    paths = [path / adapter.CONFIG, path / adapter.WEIGHTS, *checkpoint.weights]

    def fetch(folder: Path, aside: Path) -> ModelFiles:
        download.check_space(folder, 2 * sum(weights.stat().st_size for weights in checkpoint.weights))
        adapter.merge(path, Path(base.folder), folder, lambda *of: report(Status("converting", f"merging {name}", *of)))
        made = validate.check(folder)
        digest = weights_hash(made.weights, made.refuse_special)
        return ModelFiles(name, "", digest, f"{source}, merged into {base.source}", weight_format(checkpoint.dtype))

    return installed.found_or_fetched(f"{path.name}-{installed.mark(paths)}", fetch, report)


def base_of(folder: Path, name: str) -> tuple[Path, str, str]:
    """The base of an adapter, if it is on this machine: its folder, its name and where it comes from. `name` is a
    folder, told from the adapter's or from here, or a model of the Hugging Face cache or of our own.

    Raises ModelError.
    """
    for path in (folder / name, Path(name).expanduser()):
        if path.is_dir() and not hub_cache.is_adapter(path):
            return path.absolute(), path.name, str(path)
    if hub_cache.NAME.fullmatch(name):
        if (found := hub_cache.find(name)) and hub_cache.complete(found):
            return found, name.rpartition("/")[2], hub_cache.source(name, found)
        files, _ = installed.find(installed.root() / name.replace("/", "--"))
        if files:
            return Path(files.folder), files.name, files.source
    raise ModelError(
        f"{folder} is an adapter (LORA) for {name:.200}, which is not on this machine",
        f"Fetch the base (llm-holes --model {name:.200}), or write its folder into adapter_config.json "
        "(base_model_name_or_path).",
    )
