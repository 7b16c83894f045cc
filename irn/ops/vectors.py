"""Short rows of float32 as one value in compiled code, in a vector register: Numba does not vectorise loops as short.

Written in LLVM's own language, by Numba's interface for extensions (https://numba.readthedocs.io, "Low-level extension
API"). Tried with Numba 0.63.1, 0.65.1 and 0.68.1, on x86-64; tests/test_vectors.py holds it equal to NumPy.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, register_model

# Without its type, which says that what it decorates is called with one argument more.
intrinsic: Any = extending.intrinsic


def zero_rows(shape: tuple[int, ...], width: int) -> np.ndarray:
    """Zeros whose elements are rows of `width` float32; compiled code knows the width by their type."""
    return np.zeros(shape, [("row", np.float32, (width,))])


def numbers_of(rows: np.ndarray) -> np.ndarray:
    """The same memory as numbers, (..., width) float32."""
    return rows.view(np.float32).reshape(*rows.shape, -1)


class _Row(types.Type):
    """The type of a row in compiled code."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(f"Row({width})")


@register_model(_Row)
class _RowModel(models.PrimitiveModel):
    """A row is a vector of LLVM."""

    def __init__(self, manager: Any, row: _Row) -> None:
        super().__init__(manager, row, ir.VectorType(ir.FloatType(), row.width))


# What follows is for compiled code alone. Each function tells Numba its type for the types of its arguments, and writes
# the instructions.


@intrinsic
def row_at(typing: Any, rows: Any, index: Any) -> Any:
    """rows[index]"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_address(context, builder, signature, values), align=4)

    return _row_type(rows)(rows, index), generate


@intrinsic
def put_row(typing: Any, rows: Any, index: Any, row: Any) -> Any:
    """rows[index] = row"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _address(context, builder, signature, values), align=4)
        return context.get_dummy_value()

    return types.void(rows, index, row), generate


@intrinsic
def zero_row(typing: Any, rows: Any) -> Any:
    """A row of zeros, as wide as those of `rows`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return _row_type(rows)(rows), generate


@intrinsic
def plus_scaled(typing: Any, row: Any, factor: Any, other: Any) -> Any:
    """row + factor * other, the factor as float32, perhaps rounded once."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        factors = ir.Constant(context.get_value_type(row), ir.Undefined)
        for lane in range(row.width):
            factors = builder.insert_element(factors, values[1], ir.Constant(ir.IntType(32), lane))
        return builder.fadd(values[0], builder.fmul(factors, values[2], flags=["contract"]), flags=["contract"])

    return row(row, types.float32, other), generate


def _row_type(rows: Any) -> _Row:
    return _Row(rows.dtype.size // 4)


def _address(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Of rows[index], these being the first two arguments."""
    array, index = signature.args[:2]
    vector = context.get_value_type(_row_type(array)).as_pointer()
    numbers = ir.ArrayType(ir.FloatType(), _row_type(array).width).as_pointer()
    data = builder.bitcast(context.make_array(array)(context, builder, values[0]).data, numbers)
    return builder.bitcast(builder.gep(data, [context.cast(builder, values[1], index, types.uintp)]), vector)
