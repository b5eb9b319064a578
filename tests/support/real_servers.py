"""Two real servers on loopback, each started once for all test processes: llama.cpp's, and `transformers serve`.

`python -m tests.support.real_servers NAME MODEL FOLDER` serves until nobody holds FOLDER/in-use any more.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tests.support.paths import ROOT

START_SECONDS = 120.0


@contextmanager
def served(name: str, model: str, folder: Path) -> Iterator[str]:
    """The address of the server, which is started if no other test process has."""
    folder.mkdir(exist_ok=True)
    address = folder / f"{name}.url"
    with (folder / "in-use").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with FileLock(folder / f"{name}.lock"):
            if not address.exists():
                _start(name, model, folder, address)
        yield address.read_text()


def _start(name: str, model: str, folder: Path, address: Path) -> None:
    command = [sys.executable, "-m", "tests.support.real_servers", name, model, str(folder)]
    log = (folder / f"{name}.log").open("wb")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    deadline = time.monotonic() + START_SECONDS
    while not address.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{name} did not start:\n{(folder / f'{name}.log').read_text()[-2000:]}")
        time.sleep(0.05)


def in_fp32(source: Path, target: Path) -> None:
    """The GGUF file with the same values in 32 bits, which llama.cpp then also computes with."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants

    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents(), use_temp_file=False)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        if field.name == "general.file_type":
            writer.add_file_type(0)
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        values = quants.dequantize(tensor.data, GGMLQuantizationType(tensor.tensor_type))
        writer.add_tensor(tensor.name, values.reshape(tuple(reversed(tensor.shape.tolist()))).astype("<f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _llama(model: str, folder: Path) -> str:
    import xllamacpp

    exact = folder / "fp32.gguf"
    in_fp32(Path(model), exact)
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(exact), {"SmolLM2-135M-Instruct"}
    params.n_ctx, params.n_parallel, params.port, params.warmup = 8192, 4, _free_port(), False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    global server
    server = xllamacpp.Server(params)
    return str(server.listening_address)


def _transformers(model: str, folder: Path) -> str:
    from urllib.request import urlopen

    from transformers.cli.serve import Serve

    port = _free_port()
    Serve(force_model=model, device="cpu", host="127.0.0.1", port=port, non_blocking=True)
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            urlopen(f"{address}/health", timeout=5).read()
            return address
        except OSError:
            time.sleep(0.05)


server: object = None
"""Serves as long as it is held."""


def main() -> None:
    name, model, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    url = {"llama.cpp": _llama, "transformers": _transformers}[name](model, folder)
    part = folder / f"{name}.part"
    part.write_text(f"{url}/v1")
    part.replace(folder / f"{name}.url")
    threading.Thread(target=_until_nobody, args=(folder,), daemon=True).start()
    threading.Event().wait()


def _until_nobody(folder: Path) -> None:
    with (folder / "in-use").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
    os._exit(0)


if __name__ == "__main__":
    main()
