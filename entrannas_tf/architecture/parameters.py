"""The architecture parameters: sole owner of alpha, beta and temperature."""

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import (
    derivation,
    genotypes,
    relaxation,
    search_space,
)

ALPHA_STDDEV = 1e-3  # as DARTS initialises it

# Alpha of a connection that is fixed, 0 elsewhere: the softmax of the others is
# exactly 0.
_FIXED_ALPHA = 1e3


class Architecture(keras.layers.Layer):
    """Alpha, beta and temperature of each kind of cell.

    Args:
        space: The `search_space.SearchSpace`, or what `search_space.get` takes.
        sparse: False for EnTranNAS (softmax coefficients, top-2 derivation),
            True for EnTranNAS-DST (pruned coefficients, every non-zero one
            is derived; "none" is left out, and there is beta beside alpha).
        temperature: Initial temperature of Eq. 5, above 0.
        edge_normalization: Whether each edge has a weight too, a softmax over
            the edges into a node, that multiplies its coefficients (PC-DARTS).
        masks: Dict by kind of cell of bool [E, K], the primitives that each
            edge chooses from, not with `sparse`; None for all.
        max_skips: Number of skip connections that a normal cell is derived
            with, at most, from 0 to 7; `search_space.ANY_SKIPS`, 8, for any.

    Attributes:
        space: The space that was given, of which genotypes are derived.
        searched_space: The same, without "none" if `sparse`: its primitives
            are the K columns of alpha.
        alpha: Dict by kind of cell of float32 [E, K] variables.
        beta: Likewise of float32 [M]; empty unless `sparse`.
        edge_logits: Likewise of float32 [E]; empty unless
            `edge_normalization`.
        temperature: float32 scalar variable, not trained.
    """

    def __init__(
        self,
        space=search_space.STANDARD,
        sparse=False,
        temperature=1.0,
        edge_normalization=False,
        masks=None,
        max_skips=search_space.ANY_SKIPS,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.masks = masks and {k: np.asarray(m) for k, m in masks.items()}
        self.max_skips = max_skips
        self.space = search_space.get(space)
        self.searched_space = (
            self.space.without_none() if sparse else self.space
        )
        self.sparse = sparse
        self.edge_normalization = edge_normalization
        kinds, num_edges = self.space.kinds, len(self.space.edges)
        shape = (num_edges, len(self.searched_space.primitives))
        self.alpha = {
            kind: self.add_weight(
                name=f"alpha_{kind}",
                shape=shape,
                initializer=keras.initializers.RandomNormal(0, ALPHA_STDDEV),
            )
            for kind in kinds
        }
        self.beta = {
            kind: self.add_weight(
                name=f"beta_{kind}",
                shape=(self.space.num_intermediate_nodes,),
                initializer="zeros",
            )
            for kind in (kinds if sparse else ())
        }
        self.edge_logits = {
            kind: self.add_weight(
                name=f"edge_logits_{kind}",
                shape=(num_edges,),
                initializer=keras.initializers.RandomNormal(0, ALPHA_STDDEV),
            )
            for kind in (kinds if edge_normalization else ())
        }
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(temperature),
            trainable=False,
        )
        self.built = True

    def coefficients(self):
        """Returns the coefficients: dict by kind of float32 [E, K]."""
        coefficients = self._relax()
        for kind, edge_logits in self.edge_logits.items():
            weights = relaxation.normalise_edges(
                tf.convert_to_tensor(edge_logits), self.space.targets
            )  # [E]
            coefficients[kind] *= weights[:, tf.newaxis]
        return coefficients

    def _relax(self):
        """Returns the coefficients of the operations of each edge."""
        tau = tf.convert_to_tensor(self.temperature)
        alpha = {k: tf.convert_to_tensor(v) for k, v in self.alpha.items()}
        if self.masks:
            return {
                k: relaxation.masked_softmax(a, self.masks[k], tau)
                for k, a in alpha.items()
            }
        if not self.sparse:
            return {k: relaxation.softmax(a, tau) for k, a in alpha.items()}
        return {
            k: relaxation.sparse_coefficients(
                a, tf.convert_to_tensor(self.beta[k]), tau, self.space.targets
            )
            for k, a in alpha.items()
        }

    def thresholds(self):
        """Returns the thresholds of DST: dict by kind of float32 [M]."""
        return {
            kind: relaxation.thresholds(tf.convert_to_tensor(beta))
            for kind, beta in self.beta.items()
        }

    def derive(self, coefficients):
        """Returns the `Genotype` that coefficients stand for.

        Args:
            coefficients: What `coefficients` returned, as NumPy arrays.
        """
        rule = derivation.non_zero if self.sparse else derivation.top_two
        cells = {
            kind: rule(coefficients[kind], self.searched_space)
            for kind in self.space.kinds
        }
        if self.max_skips < search_space.ANY_SKIPS:
            cells["normal"] = derivation.top_two_few_skips(
                coefficients["normal"], self.searched_space, self.max_skips
            )
        return genotypes.of_cells(cells, self.space)

    def fix(self, genotype):
        """Fixes alpha to one genotype, whose coefficients are 0 and 1.

        Args:
            genotype: A `Genotype` such as `derive` returns, not of DST: with
                one connection an edge at most. All others become "none".
        """
        none = self.searched_space.primitives.index(search_space.NONE)
        for kind, alpha in self.alpha.items():
            chosen = derivation.indicator(
                getattr(genotype, kind), self.searched_space
            )
            chosen[:, none] = 1 - chosen.sum(axis=1)
            alpha.assign(_FIXED_ALPHA * chosen)

    def get_config(self):
        return {
            **super().get_config(),
            "space": search_space.serialize(self.space),
            "sparse": self.sparse,
            "temperature": float(self.temperature.numpy()),
            "edge_normalization": self.edge_normalization,
            "masks": self.masks
            and {kind: mask.tolist() for kind, mask in self.masks.items()},
            "max_skips": self.max_skips,
        }
