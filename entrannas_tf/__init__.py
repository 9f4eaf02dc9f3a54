"""Differentiable architecture search by EnTranNAS and EnTranNAS-DST.

    import entrannas_tf

    genotype = entrannas_tf.search(config, "runs/mine")
    entrannas_tf.retrain(retrain_config, genotype, "runs/mine_net")
    entrannas_tf.export("runs/mine_net", "model/")

The names below are what most users need; each has an example in its docstring.
They are imported when they are first used, TensorFlow too. All else is in the
rooms: `architecture`, `data`, `config`, `networks`, `training`, `drawing`,
`retraining`, `search`, `tuning`, `studies`.
"""

import importlib

# Name -> (module, its name there). `search` is a room that can be called.
_PUBLIC = {
    "EnTranNASOracle": ("tuning.oracle", "EnTranNASOracle"),
    "EnTranNASTuner": ("tuning.tuner", "EnTranNASTuner"),
    "Genotype": ("architecture.genotypes", "Genotype"),
    "Supernet": ("networks.supernet", "Supernet"),
    "TargetNetwork": ("networks.target", "TargetNetwork"),
    "TargetNetworkHyperModel": ("tuning.hypermodel", "TargetNetworkHyperModel"),
    "count": ("networks.cost", "count"),
    "draw": ("drawing.cells", "draw"),
    "export": ("retraining.export", "export"),
    "load_genotype": ("architecture.published", "load_genotype"),
    "port_weights": ("networks.porting", "port_weights"),
    "retrain": ("retraining.workflow", "retrain"),
}

__all__ = [*_PUBLIC, "search"]


def __getattr__(name):
    if name == "search":
        return importlib.import_module("entrannas_tf.search")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    found = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *__all__})
