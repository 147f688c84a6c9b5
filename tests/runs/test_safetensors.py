"""The format, by hand and by its own package."""

import numpy as np
import pytest

from beliefgeo.runs.safetensors import write_safetensors
from tests.runs import gpt2

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not contiguous
    "b c": np.array([True, False]),
    "none": np.zeros((0, 4), np.int64),
    "number": np.float64(0.1).reshape(()),
}


def test_every_bit_is_there(tmp_path):
    write_safetensors(tmp_path / "new", ARRAYS, {"made": "here"})
    found, about = gpt2.read_safetensors(tmp_path / "new")
    assert about == {"made": "here"} and [*found] == [*ARRAYS]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_its_own_package_reads_it(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    write_safetensors(tmp_path / "new", ARRAYS, {})
    found = safetensors.load_file(tmp_path / "new")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_types_it_does_not_know(tmp_path):
    with pytest.raises(TypeError, match="got complex64 for 'a'"):
        write_safetensors(tmp_path / "new", {"a": np.zeros(1, np.complex64)}, {})
    assert not (tmp_path / "new").exists()
