"""Pictures of layouts, launches and graphs, all drawn with the tokens of `workshop.viz.look`."""

from workshop.viz.attention import attention_picture
from workshop.viz.block import block_picture
from workshop.viz.graph import GraphPicture, draw_graph
from workshop.viz.play import Animation
from workshop.viz.run import play, story_of, who_touched
from workshop.viz.story import Story
from workshop.viz.who import Picture

__all__ = [
    "Animation",
    "GraphPicture",
    "Picture",
    "Story",
    "attention_picture",
    "block_picture",
    "draw_graph",
    "play",
    "story_of",
    "who_touched",
]
