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
MAX_SKIPS = 2 * search_space.NUM_INTERMEDIATE_NODES  # All that top two keeps.

# Alpha of a connection that is fixed, 0 elsewhere: the softmax of the others is
# exactly 0.
_FIXED_ALPHA = 1e3


class Architecture(keras.layers.Layer):
    """Alpha, beta and temperature of the normal and the reduction cell.

    Args:
        space: "standard", "extended" or "tiny".
        sparse: False for EnTranNAS (softmax coefficients, top-2 derivation),
            True for EnTranNAS-DST (pruned coefficients, every non-zero one
            is derived; no "none" primitive, and beta beside alpha).
        temperature: Initial temperature of Eq. 5, above 0.
        edge_normalization: Whether each edge has a weight too, a softmax over
            the edges into a node, that multiplies its coefficients (PC-DARTS).
        masks: Dict by kind of cell of bool [E, K], the primitives that each
            edge chooses from, not with `sparse`; None for all.
        max_skips: Number of skip connections that a normal cell is derived
            with, at most; MAX_SKIPS for any.

    Attributes:
        primitives: Names of the K candidates.
        alpha: Dict by kind of cell of float32 [E, K] variables.
        beta: Likewise of float32 [M]; empty unless `sparse`.
        edge_logits: Likewise of float32 [E]; empty unless
            `edge_normalization`.
        temperature: float32 scalar variable, not trained.
    """

    def __init__(
        self,
        space="standard",
        sparse=False,
        temperature=1.0,
        edge_normalization=False,
        masks=None,
        max_skips=MAX_SKIPS,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.masks = masks and {k: np.asarray(m) for k, m in masks.items()}
        self.max_skips = max_skips
        self.space = space
        self.sparse = sparse
        self.edge_normalization = edge_normalization
        self.primitives = search_space.primitives(space, with_none=not sparse)
        shape = (len(search_space.EDGES), len(self.primitives))
        self.alpha = {
            kind: self.add_weight(
                name=f"alpha_{kind}",
                shape=shape,
                initializer=keras.initializers.RandomNormal(0, ALPHA_STDDEV),
            )
            for kind in genotypes.KINDS
        }
        self.beta = {
            kind: self.add_weight(
                name=f"beta_{kind}",
                shape=(search_space.NUM_INTERMEDIATE_NODES,),
                initializer="zeros",
            )
            for kind in (genotypes.KINDS if sparse else ())
        }
        self.edge_logits = {
            kind: self.add_weight(
                name=f"edge_logits_{kind}",
                shape=(len(search_space.EDGES),),
                initializer=keras.initializers.RandomNormal(0, ALPHA_STDDEV),
            )
            for kind in (genotypes.KINDS if edge_normalization else ())
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
                tf.convert_to_tensor(edge_logits)
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
                a, tf.convert_to_tensor(self.beta[k]), tau
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
            kind: rule(coefficients[kind], self.primitives)
            for kind in genotypes.KINDS
        }
        if self.max_skips < MAX_SKIPS:
            cells["normal"] = derivation.top_two_few_skips(
                coefficients["normal"], self.primitives, self.max_skips
            )
        return genotypes.Genotype(**cells, space=self.space)

    def fix(self, genotype):
        """Fixes alpha to one genotype, whose coefficients are 0 and 1.

        Args:
            genotype: A `Genotype` such as `derive` returns, not of DST: with
                one connection an edge at most. All others become "none".
        """
        none = self.primitives.index(search_space.NONE)
        for kind, alpha in self.alpha.items():
            chosen = derivation.indicator(
                getattr(genotype, kind), self.primitives
            )
            chosen[:, none] = 1 - chosen.sum(axis=1)
            alpha.assign(_FIXED_ALPHA * chosen)

    def get_config(self):
        return {
            **super().get_config(),
            "space": self.space,
            "sparse": self.sparse,
            "temperature": float(self.temperature.numpy()),
            "edge_normalization": self.edge_normalization,
            "masks": self.masks
            and {kind: mask.tolist() for kind, mask in self.masks.items()},
            "max_skips": self.max_skips,
        }
