"""Random search with shared weights (Li and Talwalkar, UAI 2019).

Each step trains the weights of one genotype, drawn anew. At the end candidates,
also drawn, are tried with these weights on the architecture's images, and the
best is kept. All cells of the super-net are Transit-cells.

A search by gradients of the same configuration takes the same steps for the
weights, on the same batches. Its steps of alpha go forward and back; this
search goes forward only, and spends the passes saved on candidates: an epoch's
images on each, so that there are as many candidates as epochs
(`search.num_candidates` chooses another number). The number of passes over
images is then equal if the halves are equally large; evaluations that only
report, which a random search does without, are not counted. Time is not equal:
a pass is cheaper here, for lack of Engine-cells.

Genotypes are functions of the seed and a number alone, so that a resumed search
goes on with the same ones.
"""

import statistics

from entrannas_tf.architecture import genotypes
from entrannas_tf.search import evaluation as search_evaluation

_STEPS, _CANDIDATES = range(2)  # What genotypes are drawn for.


class RandomSearch:
    """Draws genotypes, and chooses one.

    Args:
        seed: Of the search, 0 or more.
        space: The `search_space.SearchSpace`.
        num_candidates: Number of genotypes to choose from.
    """

    def __init__(self, seed, space, num_candidates):
        self._seed = seed
        self._space = space
        self._num_candidates = num_candidates

    def draw(self, step):
        """Returns the `Genotype` that the step of this number trains."""
        return genotypes.draw((self._seed, _STEPS, step), self._space)

    def candidates(self):
        """Returns the list of genotypes to choose from."""
        return [
            genotypes.draw((self._seed, _CANDIDATES, number), self._space)
            for number in range(self._num_candidates)
        ]

    def choose(self, trainer, source, indices, batch_size):
        """Settles the architecture on the best of the candidates.

        The best is the one whose child network is most accurate; the first of
        equals.

        Args:
            trainer: A `search_step.SearchTrainer`, without Engine-cells.
            source: `ImageSource`.
            indices: Integers [N], the images of it to use.
            batch_size: Global batch size.

        Returns:
            {"supernet_accuracy": ..., "child_accuracy": ...} of the best,
            which are the same network, and the "mean_candidate_accuracy" of
            all.
        """
        candidates = self.candidates()
        networks = [(None, genotype) for genotype in candidates]
        accuracies = search_evaluation.measure(
            trainer, networks, source, indices, batch_size
        )
        best = max(accuracies)
        trainer.architecture.fix(candidates[accuracies.index(best)])
        return {
            "supernet_accuracy": best,
            "child_accuracy": best,
            "mean_candidate_accuracy": statistics.fmean(accuracies),
        }
