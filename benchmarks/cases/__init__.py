"""The cases of the benchmark: each sets two or more ways to one result side by side, and says whether they agree."""

from cases import caches, crf, evaluation, instances, losses, networks, photograph, start, walk

CASES = {
    **photograph.CASES,
    **walk.CASES,
    **crf.CASES,
    **networks.CASES,
    **losses.CASES,
    **instances.CASES,
    **evaluation.CASES,
    **caches.CASES,
    **start.CASES,
}
