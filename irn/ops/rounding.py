"""How scores and probabilities are rounded, so that caches compress well."""

import numpy as np


def rounded(array: np.ndarray, error: float) -> np.ndarray:
    """The nearest multiple of 2^-10 where that is within `error`, else of 2^-11.

    Both are exact in float16 for values in [0, 1].
    """
    coarse, fine = (np.round(array * steps) / np.float32(steps) for steps in (1024, 2048))
    return np.where(np.abs(coarse - array) <= np.float32(error), coarse, fine)
