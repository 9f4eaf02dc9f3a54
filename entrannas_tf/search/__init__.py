"""From a configuration to a genotype.

`workflow` is the whole of it, `step` the step that updates weights and
architecture in turn, `run` answers the training loop, `results` writes the
workdir. `methods` are EnTranNAS and its baselines as configurations;
`second_order`, `random_search` and `stages` (P-DARTS) serve the baselines,
`repeats` keeps the best of several searches. May import all rooms but `tuning`
and `studies`.

`entrannas_tf.search` is this package and a function too: calling it calls
`workflow.search`.
"""

import importlib
import sys
import types


class _CallableRoom(types.ModuleType):
    """A module that can be called."""

    def __call__(self, config_dict, workdir, strategy=None, profile=False):
        """Searches the cells of a network, see `workflow.search`.

        Example:

        >>> import entrannas_tf
        >>> from configs import digits
        >>> config = digits.get_config()
        >>> config.network.space = "tiny"
        >>> config.search.epochs = 1
        >>> genotype = entrannas_tf.search(config, "runs/digits")
        normal cell ...
        >>> len(genotype.normal)  # Intermediate nodes.
        4
        """
        workflow = importlib.import_module(f"{__name__}.workflow")
        return workflow.search(config_dict, workdir, strategy, profile)

    def __reduce__(self):  # For other processes, as a function has it.
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _CallableRoom
