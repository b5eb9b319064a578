"""The real lessons on recorded runs, as the terminal runs them: `python tests/support/recorded_app.py [LESSON]`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llm_holes.tui.terminal.terminal import run_app
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from textual.app import App

    from tests.support.fake_link import Recording


class Recordings(dict[str, "Recording"]):
    """Each is read when its lesson is run first."""

    def get(self, lesson: str, default: Any = ()) -> Any:
        from tests.support.fake_link import recording

        path = ROOT / "tests" / "tui" / "recordings" / f"{lesson}.msgpack"
        if lesson not in self and path.exists():
            self[lesson] = recording(path)
        return super().get(lesson, default)


def make_app() -> App[Any]:
    from llm_holes.tui.app import HolesApp
    from tests.support.fake_link import FakeEngine

    return HolesApp([], sys.argv[1] if len(sys.argv) > 1 else None, link=FakeEngine(Recordings()).link)


if __name__ == "__main__":
    sys.exit(run_app(make_app))
