import pytest

from configs import digits, imagenet_entrannas_dst
from entrannas_tf import config, methods

every_method = pytest.mark.parametrize("name", methods.METHODS)


@every_method
def test_method_is_a_good_configuration(name):
    changed = methods.apply(digits.get_config(), name)
    made = config.from_config_dict(changed)
    assert methods.title(made) == methods.METHODS[name].title
    values = config.to_flat_dict(made)
    method = methods.METHODS[name]
    for path, value in {**method.switches, **method.settings}.items():
        assert values[path] == value


@every_method
def test_method_leaves_the_experiment_alone(name):
    before = config.flatten(digits.get_config().to_dict())
    after = config.flatten(methods.apply(digits.get_config(), name).to_dict())
    changed = {path for path in before if before[path] != after[path]}
    assert set(after) == set(before)
    assert not changed & {
        "name",
        "seed",
        "network.num_cells",
        "network.init_channels",
        "search.epochs",
        "search.batch_size",
        "search.weight_learning_rate",
        "search.architecture_learning_rate",
    }


def test_methods_differ_by_their_switches():
    paths = {path for m in methods.METHODS.values() for path in m.switches}
    kinds = {
        tuple(str(m.switches.get(path)) for path in sorted(paths))
        for m in methods.METHODS.values()
    }
    assert len(kinds) == len(methods.METHODS)
    for method in methods.METHODS.values():
        assert set(method.switches) == paths
        assert not set(method.switches) & set(method.settings)


def test_first_the_method_and_back_again():
    """A method sets all switches, whatever the configuration began with."""
    dst = imagenet_entrannas_dst.get_config()
    dst.data.data_dir = "somewhere"
    plain = methods.apply(methods.apply(dst, "darts"), "entrannas")
    assert methods.title(config.from_config_dict(plain)) == "EnTranNAS"


def test_plain_dicts_are_taken_and_left_alone():
    values = digits.get_config().to_dict()
    changed = methods.apply(values, "darts")
    assert changed["network"]["engine_cells"] == "all"
    assert values == digits.get_config().to_dict()


def test_fields_of_the_user_are_kept():
    kept = ("network.bottleneck", "search.initial_temperature")
    changed = methods.apply(digits.get_config(), "darts", kept)
    assert changed.network.bottleneck == 4
    assert changed.network.engine_cells == "all"
    made = config.from_config_dict(changed)
    assert methods.title(made) == "a mixture of methods"


def test_no_method_changes_nothing():
    values = digits.get_config().to_dict()
    assert methods.apply(values, None) == values


def test_unknown_method_is_named():
    with pytest.raises(
        ValueError, match=r"Unknown method 'dart'; .* entrannas_dst, darts"
    ):
        methods.apply(digits.get_config(), "dart")
