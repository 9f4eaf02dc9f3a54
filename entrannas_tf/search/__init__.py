"""From a configuration to a genotype.

`workflow` is the whole of it, `step` the step that updates weights and
architecture in turn, `run` what the training loop asks for, `results` what is
left in the workdir; `methods` are the baselines as configurations. May import
all rooms below.

`entrannas_tf.search(config, workdir)` is `workflow.search`: the room can be
called, as a function of that name could not stand beside it.
"""

import importlib
import sys
import types


class _Callable(types.ModuleType):
    """A module that can be called."""

    def __call__(self, *args, **kwargs):
        """Calls `workflow.search`."""
        workflow = importlib.import_module(f"{__name__}.workflow")
        return workflow.search(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
