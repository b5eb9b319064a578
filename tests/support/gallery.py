"""A small catalog and the frames of its lessons: every kind of control and of view, without a model."""

from __future__ import annotations

import math
from pathlib import Path

from msgspec import structs

from llm_holes.engine.frames import Array, Bars, Curve, Diff, Frame, Heatmap, Series, Table, Text, Token, Tokens
from llm_holes.lessons.catalog.catalog import Catalog, read
from tests.support import lesson_files

WORDS = ("What", " happens", " when", " you", " send", " a", " message", " to", " a", " model", "?")


def lesson(title: str, parent: str, order: int, controls: str, stages: str = '"tokens"') -> str:
    return f"""title = "{title}"
short = "{title[:18].strip()}"
keep = "What {title.lower()} comes to is one sentence to remember."
objective = "See what the model does with {title.lower()}, and what it costs."
parent = "{parent}"
order = {order}
minutes = 5
stages = [{stages}]
publishes = ["tokens", "answer", "speedup"]
see_also = ["embeddings"]
code = ["llm_holes.engine.frames:Heatmap", "llm_holes.engine.frames:series"]

[terms]
"{title.lower()} term" = "What the lesson called {title} explains."

{controls}

[[presets]]
name = "everyday"
expect = "expected"
why = "What everyone expects to happen with {title.lower()}."
settings = {{ text = "What is a token?" }}

[[presets]]
name = "strange"
expect = "surprise"
why = "Where the folklore about {title.lower()} breaks, and what was measured instead."
settings = {{ text = "strawberry [b]strawberry[/b]" }}

[[steps]]
view = "first"
try = "Put a text of your own into the field (e)."

[[steps]]
view = "second"
[steps.bet]
question = "How many?"
measurement = "tokens"

[[steps]]
view = "third"

[[quiz]]
question = "Which?"
hints = ["Look.", "Look again."]
[[quiz.options]]
text = "this"
correct = true
because = "It is."
[[quiz.options]]
text = "that"
because = "It is not."

[[quiz]]
question = "Which now?"
hints = ["Look.", "Look again."]
[[quiz.options]]
text = "this"
correct = true
because = "It is."
[[quiz.options]]
text = "that"
because = "It is not."
"""


TEXT = """[[controls]]
name = "text"
kind = "text"
label = "text"
default = "What happens when you send a message to a model?"
help = "Any text in any language."
"""
HEAD = """[[controls]]
name = "layer"
kind = "layer"
label = "layer"
default = 12
help = "Which layer to look into."

[[controls]]
name = "head"
kind = "head"
label = "head"
default = 3
help = "Which of its heads."

[[controls]]
name = "position"
kind = "int"
label = "position"
default = 4
min = 0
max = 63
help = "The token that looks back."
"""
COST = """[[controls]]
name = "cache"
kind = "choice"
label = "cache"
default = "both"
choices = ["on", "off", "both"]
help = "Keep keys and values, or compute them anew for every token."

[[controls]]
name = "max_new_tokens"
kind = "int"
label = "new tokens"
default = 128
min = 1
max = 256
step = 8
help = "How many tokens to generate."

[[controls]]
name = "temperature"
kind = "float"
label = "temperature"
default = 0.7
min = 0
max = 2
help = "0 always takes the likeliest token."

[[controls]]
name = "exact"
kind = "toggle"
label = "exact"
default = true
help = "Compare the tokens one by one."
"""
BODY = """## A piece at a time

A language model never sees your text. Before anything else, a separate program, the **tokenizer**, cuts it
into pieces from a fixed list and replaces each piece by its number. The list has {model.d_vocab} entries here.

## How many pieces

A piece is usually more than a letter and often a whole word, with the space in front of it. Guess how many there are.

---

Your text: **{measured.tokens} tokens**. The model answered `{measured.answer}`, that is: {measured.answer}.

## What is dear

Frequent text is cheap and rare text is dear. How the pieces are chosen is the next hole down:
[embeddings](hole:embeddings).
"""


def catalog(folder: Path) -> Catalog:
    """Writes the lessons' files into `folder` and reads them."""
    for place, toml in {
        "tier0/what_happens": lesson("What happens when you send a message", "", 1, TEXT, '"text"'),
        "tier1/tokens": lesson("What is a token?", "what-happens", 2, TEXT, '"text", "tokens"'),
        "tier1/embeddings": lesson("Embeddings: ids become vectors", "what-happens", 3, TEXT, '"embedding"'),
        "tier2/weights": lesson("What are weights?", "embeddings", 1, TEXT, '"FFN"'),
        "tier2/attention": lesson("Attention", "embeddings", 2, TEXT + HEAD, '"attention"'),
        "tier2/kv_cache": lesson("KV cache and what context costs", "what-happens", 3, TEXT + COST, '"attention"'),
        "tier3/quantization": lesson("Fewer bits", "kv-cache", 3, TEXT, '"attention", "FFN"'),
    }.items():
        lesson_files.write(folder, place, toml, BODY)
    return read(folder)


def tokens(words: tuple[str, ...] = WORDS) -> tuple[Token, ...]:
    return tuple(Token(100 * n + 7, word.encode(), "common" if n % 3 else "") for n, word in enumerate(words))


def attention(size: int = len(WORDS)) -> Array:
    rows = [[math.exp(-abs(r - c) / 2) if c <= r else math.nan for c in range(size)] for r in range(size)]
    return Array.of([[value / sum(v for v in row if v == v) for value in row] for row in rows])


def curve() -> Curve:
    xs = [float(n) for n in range(0, 257, 16)]
    low, high = tuple(55 + x / 40 for x in xs), tuple(70 + x / 3 for x in xs)
    with_cache = Series("with cache", tuple(xs), tuple(60 + x / 40 for x in xs), low, high)
    without = Series("without cache", tuple(xs), tuple(60 + 1.6 * x for x in xs))
    return Curve("time for each new token", (without, with_cache), "tokens in the context", "ms per token")


def strips() -> tuple[Tokens, Tokens]:
    odd = (*tokens((*WORDS, " \n\t", "e\u0301", "\x1b[2J", "\u202e")), Token(5, b"\xf0\x9f"), Token(6, b"\x99\x82"))
    values = tuple(n / 10 for n in range(11))
    return (
        Tokens("your text, as the model sees it", odd, control="position"),
        Tokens("surprise of each token", tokens(), values, "surprise", control="position"),
    )


def heatmaps() -> tuple[Heatmap, Heatmap]:
    waves = Array.of([[math.sin(r / 9) * math.cos(c / 7) for c in range(120)] for r in range(48)])
    return (
        Heatmap(
            "where each token looks", attention(), "from", "to", WORDS, WORDS, "weight", "position", "layer", (4, 2)
        ),
        Heatmap("one matrix of weights", waves, "row", "column"),
    )


KEYS = ("first", "second", "third", "fourth")
"""What the views of a frame are called, in order; the steps of each lesson show the first three."""


def frames() -> dict[str, list[Frame]]:
    """The frames of each lesson's run; the last one is complete."""
    return {name: [_keyed(frame) for frame in shown] for name, shown in _frames().items()}


def _keyed(frame: Frame) -> Frame:
    views = tuple(structs.replace(view, key=key) for view, key in zip(frame.views, KEYS, strict=False))
    return structs.replace(frame, views=views)


def _frames() -> dict[str, list[Frame]]:
    measured = {"tokens": 11, "answer": "the *cat* [sat] `here`", "speedup": 22.7}
    strip, surprise = strips()
    table = Table(
        "the same text in two vocabularies",
        ("vocabulary", "entries", "tokens", "bytes per token"),
        (("this model's", 49152, 11, 4.36), ("cl100k", 100277, 10, 4.8), ("single bytes", 256, 48, 1.0)),
        marked=0,
    )
    likely = (0.612, 0.113, 0.087, 0.021, 0.0083)
    bars = Bars("what comes next", (" Paris", " the", " a", " France", " located"), likely, "probability", 0)
    change = Bars("change of each logit", (" Paris", " the", " not"), (-2.25, 0.5, 1.75), "logits")
    text = Text("what the model wrote", "Paris is the capital of France.\nIt [is] a *city*, and " + "words go on " * 20)
    diff = Diff("answer", "The cat sat on the mat, asleep.", "The dog sat on the old mat, barking.", "16 bit", "4 bit")
    done = "11 tokens for 48 characters: 4.36 bytes for each, and the space belongs to the word after it."
    return {
        "tokens": [Frame("cutting", (strip,), {}, 0.5), Frame(done, (strip, table, surprise), measured)],
        "attention": [Frame("Token 4 looks mostly at itself: weight 0.41.", heatmaps(), measured)],
        "kv-cache": [
            *(Frame(f"{n} of 128 tokens", (curve(),), {}, n / 128) for n in range(8, 128, 8)),
            Frame("22.7 times faster at 256 tokens, the same tokens.", (curve(), bars, change, table), measured),
        ],
        "quantization": [Frame("4 bits change 3 of 8 words.", (diff, text), measured)],
    }
