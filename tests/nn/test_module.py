"""Weights have dotted names, and loading them says what does not fit."""

from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.graph import Graph, TensorType
from workshop.nn import Embedding, LayerList, Linear, ModelError, Module, Sequential


class Tower(Module):
    def __init__(self) -> None:
        self.first = Linear(3, 4)
        self.rest = LayerList([Linear(4, 4, has_bias=True), Linear(4, 2)])

    def __call__(self, x: Any) -> Any:
        return self.rest(self.first(x))


NAMES = ["first.weight", "rest.0.weight", "rest.0.bias", "rest.1.weight"]


def numbers(module: Module) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        name: rng.standard_normal(weight.shape.static_dims).astype(np.float32)
        for name, weight in module.raw_state_dict().items()
    }


def test_names_are_the_path_of_attributes() -> None:
    tower = Tower()
    assert list(tower.raw_state_dict()) == NAMES
    assert [weight.name for weight in tower.raw_state_dict().values()] == NAMES


def test_a_module_computes_with_the_weights_it_was_given() -> None:
    tower = Tower()
    tower.load_state_dict(w := numbers(tower))
    graph = Graph("tower", tower, [TensorType(DType.float32, ["n", 3])])
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    made = InferenceSession().load(graph, weights_registry=tower.state_dict())(x)[0].to_numpy()
    middle = x @ w["first.weight"].T @ w["rest.0.weight"].T + w["rest.0.bias"]
    np.testing.assert_allclose(made, middle @ w["rest.1.weight"].T, rtol=1e-5)


def test_two_layers_of_one_shape_keep_their_own_weights() -> None:
    pair = Sequential([Linear(2, 2), Linear(2, 2)])
    one = np.eye(2, dtype=np.float32)
    pair.load_state_dict({"0.weight": one, "1.weight": 2 * one})
    graph = Graph("pair", pair, [TensorType(DType.float32, [1, 2])])
    made = InferenceSession().load(graph, weights_registry=pair.state_dict())(np.ones((1, 2), np.float32))
    assert made[0].to_numpy().tolist() == [[2, 2]]


def test_a_tied_weight_has_one_name_and_one_array() -> None:
    class Tied(Module):
        def __init__(self) -> None:
            self.embed = Embedding(5, 3)
            self.head = Linear(3, 5, tied_weight=self.embed.weight)

        def __call__(self, tokens: Any) -> Any:
            return self.head(self.embed(tokens))

    tied = Tied()
    assert list(tied.raw_state_dict()) == ["embed.weight"]
    table = np.arange(15, dtype=np.float32).reshape(5, 3)
    tied.load_state_dict({"embed.weight": table})
    graph = Graph("tied", tied, [TensorType(DType.int64, ["n"])])
    made = InferenceSession().load(graph, weights_registry=tied.state_dict())(np.array([1, 4]))[0]
    np.testing.assert_array_equal(made.to_numpy(), table[[1, 4]] @ table.T)


def test_a_part_of_a_model_runs_alone_under_its_name_in_the_model() -> None:
    tower = Tower()
    part = tower.rest[1]
    part.load_state_dict({"weight": np.ones((2, 4), np.float32)})
    graph = Graph("part", part, [TensorType(DType.float32, [1, 4])])
    assert list(graph.weights) == list(part.weights_registry()) == ["rest.1.weight"]
    assert list(part.state_dict()) == ["weight"]
    made = InferenceSession().load(graph, weights_registry=part.weights_registry())
    assert made(np.ones((1, 4), np.float32))[0].to_numpy().tolist() == [[4, 4]]


def test_replacing_a_layer_forgets_the_old_weights() -> None:
    tower = Tower()
    tower.first = Linear(3, 4, has_bias=True)
    assert list(tower.raw_state_dict())[-2:] == ["first.weight", "first.bias"]
    tower.first = None  # type: ignore[assignment]
    assert "first.weight" not in tower.raw_state_dict()


def test_load_state_dict_lists_everything_that_does_not_fit_at_once() -> None:
    tower = Tower()
    given = numbers(tower)
    given["rest.0.wieght"] = given.pop("rest.0.weight")
    given["rest.1.weight"] = np.zeros((2, 5), np.float32)
    given["first.weight"] = given["first.weight"].astype(np.float64)
    with pytest.raises(ModelError) as caught:
        tower.load_state_dict(given)
    assert caught.value.message.splitlines() == [
        "the weights do not fit Tower:",
        "  missing: rest.0.weight (did you mean rest.0.wieght?)",
        "  not in the model: rest.0.wieght",
        "  'first.weight' is float32[4, 3] in the model, float64[4, 3] in the data",
        "  'rest.1.weight' is float32[2, 4] in the model, float32[2, 5] in the data",
    ]
    assert caught.value.loc is not None and "load_state_dict(given)" in caught.value.loc.source


def test_weights_that_do_not_fit_leave_the_module_as_it_was() -> None:
    tower = Tower()
    tower.load_state_dict(before := numbers(tower))
    with pytest.raises(ModelError):
        tower.load_state_dict({**before, "first.weight": np.zeros((1, 1), np.float32)})
    assert all(tower.state_dict()[name] is before[name] for name in NAMES)


def test_strict_false_lets_extra_names_pass_but_not_missing_ones() -> None:
    layer = Linear(2, 2)
    layer.load_state_dict({"weight": np.eye(2, dtype=np.float32), "more": np.zeros(1)}, strict=False)
    with pytest.raises(ModelError, match="missing: weight"):
        layer.load_state_dict({}, strict=False)


def test_state_dict_without_data_says_which_and_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"Tower has no data for first\.weight, .*load_state_dict"):
        Tower().state_dict()


def test_a_weight_that_is_no_array_is_named() -> None:
    with pytest.raises(ModelError, match="weight 'weight': str has no __dlpack__"):
        Linear(2, 2).load_state_dict({"weight": "eye"})


def test_a_plain_list_of_modules_is_refused_with_the_cure() -> None:
    with pytest.raises(ModelError, match=r"Holder.parts is a list of modules.*self.parts = LayerList"):

        class Holder(Module):
            def __init__(self) -> None:
                self.parts = [Linear(2, 2)]

            def __call__(self) -> None: ...

        Holder()


def test_repr_shows_the_tree() -> None:
    assert repr(Tower()).splitlines() == [
        "Tower(",
        "  first: Linear(weight: float32[4, 3])",
        "  rest: LayerList(",
        "    0: Linear(weight: float32[4, 4], bias: float32[4])",
        "    1: Linear(weight: float32[2, 4])",
        "  )",
        ")",
    ]
