"""Random search with shared weights (Li and Talwalkar, UAI 2019).

Each step trains the weights of one genotype, drawn anew. At the end candidates,
drawn likewise, are tried with these weights on the architecture's images, and
the best is kept. All cells of the super-net are Transit-cells.

What is equal to a search by gradients of the same configuration: the steps for
the weights, with the same batches; and the images of the architecture's half
that pass through the super-net. There, alpha's step goes forward and back on a
batch. This search goes forward only, to see how good a drawn genotype is, and
what the ways back would have seen passes forward through candidates: an epoch's
images through one candidate, so that there are as many candidates as epochs
(`search.num_candidates` chooses another number). Equal, then, is the number of
passes over images, where the halves are equally large; evaluations that only
report, which a random search does without, are not counted. Time is not equal:
a pass is cheaper here, for lack of Engine-cells.

Genotypes are functions of the seed and a number alone, so that a search goes on
with the same ones after it was killed.
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
        """Returns the `Genotype` that is trained after so many steps."""
        return genotypes.draw((self._seed, _STEPS, step), self._space)

    def candidates(self):
        """Returns the list of genotypes to choose from."""
        return [
            genotypes.draw((self._seed, _CANDIDATES, number), self._space)
            for number in range(self._num_candidates)
        ]

    def choose(self, trainer, source, indices, batch_size):
        """Settles the architecture on the best of the candidates.

        It is the one whose child network is most accurate; the first of
        equals.

        Args:
            trainer: A `search_step.SearchTrainer`, without Engine-cells.
            source: As in `search_evaluation.accuracies`.
            indices: Likewise.
            batch_size: Likewise.

        Returns:
            {"supernet_accuracy": ..., "child_accuracy": ...} of the best,
            which are the same network, and the "mean_candidate_accuracy" of
            all.
        """
        candidates = self.candidates()
        accuracies = search_evaluation.child_accuracies(
            trainer, candidates, source, indices, batch_size
        )
        best = max(accuracies)
        trainer.architecture.fix(candidates[accuracies.index(best)])
        return {
            "supernet_accuracy": best,
            "child_accuracy": best,
            "mean_candidate_accuracy": statistics.fmean(accuracies),
        }
