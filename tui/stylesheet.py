"""Styles that are parsed once for each theme."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class ParsedOnce(Stylesheet):
    """Textual parses all styles again whenever a theme is set, also at each start for the one they were parsed with."""

    _outdated = False

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)
            self._outdated = True

    def reparse(self) -> None:
        if self._outdated:
            super().reparse()
            self._outdated = False
        elif self._require_parse:
            self.parse()
