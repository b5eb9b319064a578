"""One view of each kind that no recorded lesson shows yet."""

from __future__ import annotations

from llm_holes.engine.frames import (
    Array,
    Arrow,
    CacheGrid,
    Context,
    Contexts,
    Cut,
    Dots,
    Join,
    MergeTree,
    NumberLine,
    Part,
    Plane,
    RankedList,
    RankRace,
    Runner,
    Stretch,
    Timeline,
    TimelineRow,
    Token,
    View,
)

TIMELINE = Timeline(
    "two prompts on one scale",
    (
        TimelineRow(
            "short",
            (Stretch("prefill 39 tokens", 340.0, "prefill"), *(Stretch("token", 52.0, "decode") for _ in range(10))),
            "39 tokens in, 10 out",
        ),
        TimelineRow(
            "long",
            (Stretch("prefill 156 tokens", 1310.0, "prefill"), *(Stretch("token", 54.0, "decode") for _ in range(10))),
            "156 tokens in, 10 out",
        ),
    ),
)

WORDS = ("The", " captain", " of", " the", " ship", " was", " Zor", "bul", "on", " Quist", ".", " He")
CACHE_GRID = CacheGrid(
    "without a cache: every step computes the past again",
    WORDS,
    Array.of([[2 if t == s else 1 if t < s else 0 for t in range(12)] for s in range(12)], "u1"),
    ("empty", "recomputed", "written"),
    "step",
)

RANK_RACE = RankRace(
    "who is next",
    ("The", " capital", " of", " France", " is", " Paris", ".", "<end>"),
    (
        Runner("<end>", (31_000, 24_000, 9_000, 2_100, 4_800, 800, 106, 1)),
        Runner(" It", (900, 1_500, 700, 300, 210, 90, 1, 3)),
        Runner("⏎", (12, 40, 5_000, 90, 33, 25, 7, 2)),
    ),
    (6,),
    "the end of a sentence",
    49_152,
)

PLANE = Plane(
    "two directions",
    (Arrow("cat", 3.0, 2.0), Arrow("dog", 4.0, 0.5)),
    angle=(0, 1),
    projection=(0, 1),
    dots=(
        Dots("where dog was", (4.0, 3.5, 2.8), (0.5, 2.0, 2.9), joined=True),
        Dots("others", (1.0, -1.0), (2.0, 1.5)),
    ),
)

NUMBER_LINE = NumberLine(
    "weights of a row", (-0.2, 0.0, 0.2), (3.0, 5.0), (-0.1, 0.0, 0.1), (("this one", 0.07),), "8 weights"
)

RANKED_LIST = RankedList("what comes next", (" Paris", " the"), (0.5, 0.3), (Cut("top-k 1", 1),), 49_152, 0.2)

MERGE_TREE = MergeTree(
    "how gathered is joined",
    tuple(Token(n, bytes([byte])) for n, byte in enumerate(b" gathered")),
    (Join(5, 6, 11), Join(2, 3, 26), Join(7, 8, 41), Join(0, 1, 80), Join(10, 4, 203), Join(13, 9, 1042)),
)
CONTEXTS = Contexts(
    "what is sent at each turn",
    tuple(
        Context(
            f"turn {n}",
            (
                Part("system", 12, "system", "You are a helpful assistant."),
                *(Part(f"turn {m}", 20, "old turns", "My dog is called Waffle.") for m in range(1, n)),
                Part(f"message {n}", 8, "new message", "What is my dog called?"),
            ),
        )
        for n in range(1, 5)
    ),
    window=64,
)

EXAMPLES: tuple[View, ...] = (
    MERGE_TREE,
    CONTEXTS,
    TIMELINE,
    CACHE_GRID,
    RANK_RACE,
    PLANE,
    NUMBER_LINE,
    RANKED_LIST,
)
