"""Rows of numbers as one value in compiled code, beside the same arithmetic in NumPy."""

import zlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import irn.ops.vectors
from irn.ops.mean_field import VECTORS, WIDTHS
from irn.ops.vectors import numbers_of, plus_scaled, put_row, row_at, zero_row, zero_rows


@numba.njit
def copy_row(source: Any, from_index: Any, target: Any, to_index: Any) -> None:
    put_row(target, to_index, row_at(source, from_index))


@numba.njit
def clear_row(rows: Any, index: Any) -> None:
    put_row(rows, index, zero_row(rows))


@numba.njit
def add_row(rows: Any, index: Any, factor: Any, other: Any) -> None:
    put_row(rows, index, plus_scaled(row_at(rows, index), factor, row_at(rows, other)))


def random_rows(width: int, count: int = 5) -> np.ndarray:
    rows = zero_rows((count,), width)
    numbers_of(rows)[:] = np.random.default_rng(width).standard_normal((count, width))
    return rows


@pytest.mark.parametrize("width", WIDTHS)
class TestRows:
    def test_rows_and_numbers_are_the_same_memory(self, width: int) -> None:
        rows = zero_rows((3, 4), width)
        numbers = numbers_of(rows)
        assert numbers.shape == (3, 4, width)
        assert numbers.dtype == np.float32
        assert not numbers.any()
        numbers[1, 2] = np.arange(width)
        np.testing.assert_array_equal(rows[1, 2]["row"], np.arange(width))

    @pytest.mark.parametrize("number", [np.int64, np.uint32, np.int32])
    def test_a_row_is_read_and_written_whole_and_alone(self, width: int, number: type) -> None:
        source, target = random_rows(width), random_rows(width, 7)
        expected = numbers_of(target).copy()
        expected[6] = numbers_of(source)[4]
        copy_row(source, number(4), target, number(6))
        np.testing.assert_array_equal(numbers_of(target), expected)

    def test_rows_of_a_part_of_an_array(self, width: int) -> None:
        """A slice starts elsewhere than the array that it is of."""
        rows = random_rows(width, 8)
        expected = numbers_of(rows).copy()
        expected[3] = expected[6]
        copy_row(rows[5:], 1, rows[2:4], 1)
        np.testing.assert_array_equal(numbers_of(rows), expected)

    def test_a_row_of_zeros(self, width: int) -> None:
        rows = random_rows(width)
        expected = numbers_of(rows).copy()
        expected[2] = 0
        clear_row(rows, 2)
        np.testing.assert_array_equal(numbers_of(rows), expected)

    @pytest.mark.parametrize("factor", [np.float32(0), np.float32(0.5), np.float32(-3.7), 1e-3, 2])
    def test_a_row_plus_a_multiple_of_another(self, width: int, factor: Any) -> None:
        """Rounded once or twice; any number becomes float32 first."""
        rows = random_rows(width)
        numbers = numbers_of(rows).astype(np.float64)
        expected = numbers.copy()
        expected[0] += float(np.float32(factor)) * numbers[3]
        add_row(rows, 0, factor, 3)
        np.testing.assert_allclose(numbers_of(rows), expected, rtol=0, atol=2**-22 * np.abs(expected).max())


def test_code_that_was_compiled_with_another_version_of_the_module_is_not_kept() -> None:
    source = Path(irn.ops.vectors.__file__).read_bytes()
    assert zlib.crc32(source) == VECTORS, f"write {zlib.crc32(source)} into irn/ops/mean_field.py"
