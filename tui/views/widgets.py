"""One widget per view type."""

from __future__ import annotations

from typing import Any

from llm_holes.engine.frames import (
    Bars,
    Blocks,
    CacheGrid,
    Contexts,
    Curve,
    Diff,
    Flow,
    Gallery,
    Heatmap,
    MergeTree,
    NumberLine,
    Plane,
    RankedList,
    RankRace,
    Scatter,
    Table,
    Text,
    Timeline,
    Tokens,
    Transcript,
    View,
)
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.views.blocks import BlocksView
from llm_holes.tui.views.cache_grid import CacheGridView
from llm_holes.tui.views.contexts import ContextsView
from llm_holes.tui.views.flow import FlowView
from llm_holes.tui.views.gallery import GalleryView
from llm_holes.tui.views.heatmap import HeatmapView
from llm_holes.tui.views.merge_tree import MergeTreeView
from llm_holes.tui.views.places import ScatterView
from llm_holes.tui.views.plain import (
    BarsView,
    CurveView,
    DiffView,
    NumberLineView,
    PlaneView,
    TableView,
    TextView,
    UnknownView,
)
from llm_holes.tui.views.rank_race import RankRaceView
from llm_holes.tui.views.ranked_list import RankedListView
from llm_holes.tui.views.timeline import TimelineView
from llm_holes.tui.views.tokens import TokensView
from llm_holes.tui.views.transcript import TranscriptView

WIDGETS: dict[type[View], type[ViewWidget[Any]]] = {
    Tokens: TokensView,
    Heatmap: HeatmapView,
    Bars: BarsView,
    Curve: CurveView,
    Table: TableView,
    Text: TextView,
    Diff: DiffView,
    Scatter: ScatterView,
    Flow: FlowView,
    Transcript: TranscriptView,
    Gallery: GalleryView,
    Blocks: BlocksView,
    MergeTree: MergeTreeView,
    Contexts: ContextsView,
    Timeline: TimelineView,
    CacheGrid: CacheGridView,
    RankRace: RankRaceView,
    Plane: PlaneView,
    NumberLine: NumberLineView,
    RankedList: RankedListView,
}


def widget_type(view: View) -> type[ViewWidget[Any]]:
    return WIDGETS.get(type(view), UnknownView)


def widget_for(view: View) -> ViewWidget[Any]:
    return widget_type(view)(view)
