from __future__ import annotations

from textual.content import Content
from textual.widgets.option_list import Option

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.catalog.glossary import Term, glossary, lookup
from llm_holes.tui.screens.search import FindScreen


class GlossaryScreen(FindScreen):
    """Every term with what it means; Enter opens the lesson that explains it."""

    TITLE_TEXT, PLACEHOLDER, NOTHING = "glossary", "a term, or how it begins", "no lesson explains such a term"

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.terms = glossary(catalog)

    def found(self, query: str) -> list[Option]:
        return [_option(term, n) for n, term in enumerate(lookup(self.terms, query))]


def _option(term: Term, number: int) -> Option:
    also = f"  also in: {', '.join(term.also)}" if term.also else ""
    title = (f"  {term.title}", "$act")
    text = Content.assemble((term.term, "bold"), title, (also, "$muted"), (f"\n    {term.meaning}", "$muted"))
    return Option(text, id=f"{number} {term.lesson}")
