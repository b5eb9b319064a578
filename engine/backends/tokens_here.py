"""The tokens of a served model by a tokenizer on this machine, for a server that cuts no text for others.

What a server calls its model is looked up among what this program and others have fetched; nothing is fetched for it,
and of a folder only the tokenizer's files are read. A path is opened only where a server on this machine names it.
What is found is not used if the server counts otherwise. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from llm_holes.engine.backends.backend import Ask, Backend, answer
from llm_holes.engine.checkpoint import installed
from llm_holes.engine.disk import hub_cache
from llm_holes.engine.errors import ModelError
from llm_holes.engine.frames import Token
from llm_holes.engine.tokenizer.tokenizer import Tokenizer

HUB, OWN, FOLDER = "the hub cache's tokenizer", "our cache's tokenizer", "the tokenizer in its folder"
TEXTS = (
    "The first word and the last word",
    "The first word is strawberry, unbelievably; Donaudampfschifffahrt, 今天天气很好, Здравствуйте and the last word",
    "The first word is 12,345.678 + 90; if (x[0] != 1):  return {'a': 1}\n\n\tÉtienne's café 🌮 and the last word",
)
"""What two tokenizers hardly make as many tokens of, between words that stay: whatever a server puts around a text and
counts, it puts around each, so that the differences are those of the words."""


@dataclass(frozen=True)
class TokensHere:
    """A tokenizer that is believed to be the server's: `where` it is from, and whether the server counts as many
    tokens (`agrees`; None if it counts none)."""

    tokenizer: Tokenizer
    where: str
    agrees: bool | None = None

    @property
    def by(self) -> str:
        """Whose the tokens are, in a few words."""
        return f"{self.where}; the server counts as many" if self.agrees else f"{self.where}, believed the server's too"

    @property
    def about(self) -> str:
        """The same in a sentence."""
        if self.agrees:
            return f"Tokens are those of {self.where}: the server cuts none for others, and counts as many."
        return (
            f"Tokens are those of {self.where}, which the server is believed to use too: it cuts none for others, and "
            "tells no count to check them by."
        )

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        ids = self.tokenizer.encode(text, specials=specials)
        return tuple(Token(i, self.tokenizer.token_bytes(i)) for i in ids)


def tokens_here(backend: Backend, is_near: bool) -> TokensHere:
    """What this machine has of the backend's tokenizer, checked by what the server counts. `is_near` says whether the
    server is on this machine. Raises ModelError, whose words go on after "The server cuts no text, and"."""
    folder, where = _folder(backend.name, is_near)
    found = TokensHere(Tokenizer.load(folder), where)
    if "usage" not in backend.capabilities:
        return found
    kept, *theirs = (_counted(backend, text) for text in TEXTS)
    ours_kept, *ours = (len(found.encode(text)) for text in TEXTS)
    for counted, made in zip(theirs, ours, strict=True):
        if counted - kept != made - ours_kept:
            raise ModelError(
                f"of the same words it counts {counted - kept:,} tokens, where {where} makes {made - ours_kept:,}"
            )
    return replace(found, agrees=True)


def _counted(backend: Backend, text: str) -> int:
    """The tokens that a server counts of a text, and of what it puts around it."""
    prompt = text if "completions" in backend.capabilities else ({"role": "user", "content": text},)
    return answer(backend, Ask(prompt, 1)).ended.prompt_tokens or 0


def _folder(name: str, is_near: bool) -> tuple[Path, str]:
    """Where the tokenizer of the model with this name is, and what it is. Raises ModelError."""
    if name.startswith("/"):
        return _named_path(name, is_near), FOLDER
    named = hub_cache.NAME.fullmatch(name)
    revision = named[2] or "" if named else ""
    # a revision is part of a path below the cache
    if named is None or not name.isprintable() or ".." in revision:
        raise ModelError("the name of its model is none that a tokenizer could be found by")
    if snapshot := hub_cache.find_tokenizer(named[1], revision):
        return snapshot, HUB
    if files := installed.named(name):
        return Path(files.folder), OWN
    raise ModelError(f"no tokenizer of {name} is in the Hugging Face cache here", _hint(named[1], revision))


def _hint(name: str, revision: str) -> str:
    """What brings the tokenizer here, if that is known."""
    if name in (installed.DEFAULT, installed.DEFAULT_HUB):
        return "`llm-holes` started once without --engine fetches it; then start again."
    which = f"{name} --revision {revision}" if revision else name
    return f'`hf download {which} --include "*.json"` fetches it; then start again.' if "/" in name else ""


def _named_path(name: str, is_near: bool) -> Path:
    """The folder that a server says its model is in. Raises ModelError."""
    if not is_near:
        raise ModelError("its model is named by a path, which is one of another machine")
    try:
        found = name.isprintable() and hub_cache.holds_tokenizer(Path(name))
    except OSError:  # no path at all
        found = False
    if not found:
        raise ModelError("the folder that it names has no tokenizer.json")
    return Path(name)
