"""Differentiable architecture search by EnTranNAS and EnTranNAS-DST.

    import entrannas_tf

    genotype = entrannas_tf.search(config, "runs/mine")
    entrannas_tf.retrain(retrain_config, genotype, "runs/mine_net")
    entrannas_tf.export("runs/mine_net", "model/")

A configuration is what `get_config()` of a file in configs/ returns. The names
in `__all__` are what most users need; each has an example in its docstring. All
else is in the rooms. Importing this package imports nothing else: a name loads
its module, and TensorFlow where that needs it, when it is first used.
"""

import importlib

__all__ = [
    "EnTranNASOracle",
    "EnTranNASTuner",
    "Genotype",
    "Supernet",
    "TargetNetwork",
    "TargetNetworkHyperModel",
    "count",
    "draw",
    "draw_masks",
    "export",
    "load_genotype",
    "port_weights",
    "retrain",
    "search",
    "segment",
]

# Name -> its module. `search` is a room that can be called.
_MODULES = {
    "EnTranNASOracle": "tuning.oracle",
    "EnTranNASTuner": "tuning.tuner",
    "Genotype": "architecture.genotypes",
    "Supernet": "networks.supernet",
    "TargetNetwork": "networks.target",
    "TargetNetworkHyperModel": "tuning.hypermodel",
    "count": "networks.cost",
    "draw": "drawing.cells",
    "draw_masks": "retraining.masks",
    "export": "retraining.export",
    "load_genotype": "architecture.published",
    "port_weights": "networks.porting",
    "retrain": "retraining.workflow",
    "segment": "retraining.workflow",
}
_ROOMS = (
    "architecture",
    "config",
    "data",
    "drawing",
    "networks",
    "retraining",
    "search",
    "studies",
    "training",
    "tuning",
)


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__():
    return sorted({*globals(), *_MODULES, *_ROOMS})
