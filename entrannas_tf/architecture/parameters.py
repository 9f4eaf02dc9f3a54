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
        space: The `search_space.SearchSpace`, or its name or dict.
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
        space: The space of the derived genotypes.
        searched_space: The same, without "none" if `sparse`: its primitives
            are the K columns of alpha.
        alpha: Dict by kind of cell of float32 [E, K] variables.
        beta: Dict by kind of float32 [M] variables; empty unless `sparse`.
        edge_logits: Dict by kind of float32 [E] variables; empty unless
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
        num_edges = len(self.space.edges)
        shape = (num_edges, len(self.searched_space.primitives))
        self.alpha = self._add_weights("alpha", shape)
        shape = (self.space.num_intermediate_nodes,)
        self.beta = self._add_weights("beta", shape, "zeros") if sparse else {}
        self.edge_logits = {}
        if edge_normalization:
            self.edge_logits = self._add_weights("edge_logits", (num_edges,))
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(temperature),
            trainable=False,
        )
        self.built = True

    def _add_weights(self, name, shape, initializer=None):
        """Returns a variable for each kind of cell, by default drawn."""
        return {
            kind: self.add_weight(
                name=f"{name}_{kind}",
                shape=shape,
                initializer=initializer
                or keras.initializers.RandomNormal(0, ALPHA_STDDEV),
            )
            for kind in self.space.kinds
        }

    def coefficients(self):
        """Returns the coefficients: dict by kind of float32 [E, K]."""
        tau, targets = (
            tf.convert_to_tensor(self.temperature),
            self.space.targets,
        )
        coefficients = {}
        for kind, alpha in self.alpha.items():
            alpha = tf.convert_to_tensor(alpha)
            if self.masks:
                found = relaxation.masked_softmax(alpha, self.masks[kind], tau)
            elif self.sparse:
                beta = tf.convert_to_tensor(self.beta[kind])
                found = relaxation.sparse_coefficients(
                    alpha, beta, tau, targets
                )
            else:
                found = relaxation.softmax(alpha, tau)
            if self.edge_normalization:
                logits = tf.convert_to_tensor(self.edge_logits[kind])
                weights = relaxation.normalise_edges(logits, targets)  # [E]
                found *= weights[:, tf.newaxis]
            coefficients[kind] = found
        return coefficients

    def thresholds(self):
        """Returns the thresholds of DST: dict by kind of float32 [M]."""
        return {
            kind: relaxation.thresholds(tf.convert_to_tensor(beta))
            for kind, beta in self.beta.items()
        }

    def derive(self, coefficients):
        """Returns the `Genotype` that is derived from coefficients.

        Args:
            coefficients: Dict by kind of float [E, K] arrays.
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
        """Fixes alpha to a genotype: its coefficients become 1, others 0.

        Args:
            genotype: A `Genotype` with at most one connection an edge, not of
                DST. Edges without one become "none".
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
