"""Configurations of configs/ with a few fields changed."""

from entrannas_tf.config import schema


def changed(config_dict, **changes):
    """Returns the values of a `ConfigDict` with others in some fields.

    Args:
        config_dict: The `ConfigDict`, which stays as it is.
        **changes: By dotted path, with "__" for each dot.
    """
    fields = {path.replace("__", "."): v for path, v in changes.items()}
    return schema.replaced(config_dict.to_dict(), fields)
