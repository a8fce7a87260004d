"""Pictures of a block and of attention show the shapes and weights they are given."""

import re

import numpy as np
import pytest

from workshop.nn import RotaryEmbedding
from workshop.pipelines import LlamaConfig, llama_block
from workshop.viz import attention_picture, block_picture
from workshop.viz.scene import Box, Label, Scene, Wire

CONFIG = LlamaConfig(
    vocab_size=8,
    hidden_size=32,
    intermediate_size=80,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
)


def labels(picture: Scene) -> list[str]:
    return [shape.text for shape in picture.shapes if isinstance(shape, Label)]


def test_a_block_shows_every_weight_with_its_shape() -> None:
    block = llama_block(CONFIG, RotaryEmbedding(32, 4, 1e4, 8))
    words = labels(block_picture(block))
    for name, weight in block.raw_state_dict().items():
        at = words.index(name.split(".")[-2])
        assert words[at + 1] == str(weight.shape)


def test_nothing_lies_outside_the_picture_and_no_boxes_overlap() -> None:
    scene = block_picture(llama_block(CONFIG, RotaryEmbedding(32, 4, 1e4, 8)))
    boxes = [shape for shape in scene.shapes if isinstance(shape, Box)]
    for box in boxes:
        assert box.x >= 0 and box.x + box.width <= scene.width and box.y + box.height <= scene.height
    for wire in (shape for shape in scene.shapes if isinstance(shape, Wire)):
        assert min(wire.x, wire.to_x) >= 0 and max(wire.x, wire.to_x) <= scene.width
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = (
                a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            )
            assert apart, (a, b)


def test_the_area_of_a_square_is_what_a_token_takes_and_the_future_is_dashed() -> None:
    picture = attention_picture(np.array([[[1.0, 0.0], [0.25, 0.75]]]))
    boxes = [shape for shape in picture.shapes if isinstance(shape, Box)]
    cells = sorted((box for box in boxes if box.title), key=lambda box: (box.y, box.x))
    assert [cell.title for cell in cells] == ["1.00", "not yet", "0.25", "0.75"]
    assert [cell.dashed for cell in cells] == [False, True, False, False]
    areas = [box.width * box.height / cells[0].width ** 2 for box in boxes if box.fill == "read.mark"]
    assert sorted(areas) == pytest.approx([0.25, 0.75, 1])


@pytest.mark.parametrize("cached", [0, 3])
def test_cached_tokens_are_marked_and_numbered(cached: int) -> None:
    picture = attention_picture(np.full((2, 2, 2 + cached), 1 / (2 + cached)))
    assert labels(picture).count("from the cache") == (2 if cached else 0)
    assert str(cached + 1) in labels(picture)
    assert re.fullmatch(rf"picture: Attention of 2 heads: .* of which {cached} are cached", repr(picture))


def test_pictures_are_the_same_every_time() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(5), (2, 5))
    assert attention_picture(weights)._repr_html_() == attention_picture(weights + 1e-9)._repr_html_()
