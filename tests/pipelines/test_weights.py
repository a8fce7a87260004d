"""safetensors files are read as the safetensors library writes them, and broken ones are refused by name."""

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workshop.dtype import DType
from workshop.nn import ModelError
from workshop.pipelines import load_weights


def write(path: Path, header: Any, body: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int8", "uint8", "bool"])
def test_what_the_safetensors_library_writes_is_read(tmp_path: Path, dtype: str) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="writes the file with the safetensors library")
    tensors = {
        "matrix": (np.arange(6).reshape(2, 3) % 2).astype(dtype),
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 4), dtype),
    }
    library.save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "np"})
    read = load_weights(tmp_path / "a.safetensors")
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_bfloat16_is_read_without_torch(tmp_path: Path) -> None:
    values = np.array([1.5, -2, 3e38], ml_dtypes.bfloat16)
    file = write(tmp_path / "a.safetensors", {"x": entry("BF16", [3], 0, 6)}, values.tobytes())
    (read,) = load_weights(file).values()
    assert read.dtype == ml_dtypes.bfloat16 and (read == values).all()


def test_floats_are_converted_and_integers_are_not(tmp_path: Path) -> None:
    header = {"f": entry("F16", [1], 0, 2), "i": entry("I16", [1], 2, 4)}
    body = np.array([0.5], np.float16).tobytes() + np.array([7], np.int16).tobytes()
    read = load_weights(write(tmp_path / "a.safetensors", header, body), DType.float32)
    assert [(a.dtype.name, a.item()) for a in read.values()] == [("float32", 0.5), ("int16", 7)]


def test_tensors_map_the_file_and_are_read_only(tmp_path: Path) -> None:
    file = write(tmp_path / "a.safetensors", {"x": entry("F32", [2], 0, 8)}, bytes(8))
    with pytest.raises(ValueError, match="read-only"):
        load_weights(file)["x"][0] = 1


GOOD = {"x": entry("F32", [2], 0, 8)}


@pytest.mark.parametrize(
    ("header", "body", "complaint"),
    [
        (GOOD, bytes(7), "a.safetensors is cut short: 'x' ends at byte 8 of 7"),
        ({"x": entry("F32", [3], 0, 8)}, bytes(8), r"'x' float32\[3\] does not fill bytes 0 to 8"),
        ({"x": entry("F32", [-2], 8, 0)}, bytes(8), r"'x' float32\[-2\] does not fill bytes 8 to 0"),
        ({"x": entry("F8_E4M3", [8], 0, 8)}, bytes(8), "'x' is F8_E4M3, which we cannot read; known are "),
        ({"x": {"dtype": "F32"}}, bytes(8), "the header's entry of 'x' is .* not dtype, shape"),
        ({"x": 3}, b"", "the header's entry of 'x' is 3"),
        (b"\xff\xfe", b"", "a.safetensors holds no JSON"),
        ([1], b"", "holds a list, not a JSON object"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, header: Any, body: bytes, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        load_weights(write(tmp_path / "a.safetensors", header, body))


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff" * 64], ids=["empty", "short", "text"])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=f"a.safetensors is no safetensors file: it has {len(data)} bytes"):
        load_weights(tmp_path / "a.safetensors")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 71), byte=st.integers(0, 255))
def test_a_file_with_one_wrong_byte_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    file = write(tmp_path_factory.mktemp("w") / "a.safetensors", GOOD, bytes(8))
    data = bytearray(file.read_bytes())
    data[place % len(data)] = byte
    file.write_bytes(data)
    try:
        load_weights(file)
    except ModelError as error:
        assert "a.safetensors" in error.message


def test_a_folder_without_weights_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match="has no .safetensors file; there is: pytorch_model.bin"):
        load_weights(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file or folder 'nowhere'"):
        load_weights(tmp_path / "nowhere")


def test_an_index_whose_shards_are_missing_names_them(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"x": "one.safetensors"}}')
    with pytest.raises(ModelError, match="names files that are not beside it: one.safetensors"):
        load_weights(tmp_path)
