"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")
# as in the engine's process: threads of numpy's that wait keep a core busy
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# what the tests expect was measured on a CPU
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from llm_holes.engine.checkpoint import store
from llm_holes.engine.checkpoint.installed import ModelFiles  # the settings above are read at import
from tests.support.clock import AtMost, timed, untimed
from tests.support.real_servers import served

if TYPE_CHECKING:
    from llm_holes.engine.backends.capabilities import Found
    from llm_holes.engine.engine import Engine
    from llm_holes.engine.model.decoder import Decoder

MARKED_BY_FIXTURE = {
    "model": {"model_files"},
    "torch": {"tiny"},
    "app": {"make_app", "snap_compare", "home"},
    "snapshot": {"snap_compare"},
}
SCREENS = Path(__file__).parent / "tui"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a third of the time, tests wait for a terminal, a timer or another process."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test costs is known by what it uses, directly or by another fixture."""
    for item in items:
        for mark, fixtures in MARKED_BY_FIXTURE.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(mark)
        if hasattr(getattr(item, "module", None), "torch"):
            item.add_marker("torch")
        # whatever waits for something in there waits for an app
        if item.path.is_relative_to(SCREENS) and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker("app")


@pytest.fixture(scope="session")
def model_files() -> ModelFiles:
    """The default model, from the learner's own cache; fetched once if it is not there yet."""
    return store.locate(None, lambda status: None)


@pytest.fixture(scope="session")
def engine(model_files: ModelFiles) -> Engine:
    """The default model, loaded once; experiments never write into it."""
    # torch takes two seconds to import, which most tests do not need
    from llm_holes.engine.engine import Engine

    return Engine.load(model_files, threads=1)


@pytest.fixture(scope="session")
def tiny() -> Decoder:
    """A tiny model, loaded once."""
    from tests.support.tiny_models import ours, reference

    return ours(reference("llama"))


@pytest.fixture(
    params=[pytest.param(untimed, id="untimed"), pytest.param(timed, id="timed", marks=pytest.mark.wall_clock)]
)
def at_most(request: pytest.FixtureRequest) -> AtMost:
    """`with at_most(seconds): …`. The test is there twice: what happens is checked always, how soon with
    `-m wall_clock`."""
    made: AtMost = request.param
    return made


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, which does not exist yet."""
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def llama_server(model_files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's server with the default model in fp32: the address of its API."""
    (gguf,) = Path(model_files.folder).glob("*.gguf")
    with served("llama.cpp", str(gguf), _shared(tmp_path_factory)) as address:
        yield address


@pytest.fixture(scope="session")
def transformers_server(model_files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` with the default model, which tells no chances: the address of its API."""
    with served("transformers", model_files.folder, _shared(tmp_path_factory)) as address:
        yield address


@pytest.fixture(scope="session")
def llama(llama_server: str) -> Iterator[Found]:
    """What llama.cpp's server can do."""
    from tests.support.backends import asked

    with asked(llama_server) as found:
        yield found


@pytest.fixture(scope="session")
def transformers(transformers_server: str) -> Iterator[Found]:
    """What `transformers serve` can do."""
    from tests.support.backends import asked

    with asked(transformers_server) as found:
        yield found


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of these tests have in common."""
    own = factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "servers"
