"""Base rows of a scale: public samples and networks, measured as its papers measured."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.planning import base_rows, configuration
from pagboost.planning.results import Results


@pytest.fixture(scope="module")
def imagenet():
    given = configuration.with_defaults(configuration.ROOT, {"scale": "imagenet", "seeds": [0]})
    return configuration.load(configuration.ROOT, given)


def names(scale):
    return [Path(one.file).parent.name for one in base_rows.wanted(Results(scale))]


def test_those_that_are_to_be_right_before_any_boosting_is_trusted(imagenet):
    """Golan's Tables 1 and 4, BIGRoC's notebooks, Kawar's public networks; none that a network trained here guides."""
    found = names(imagenet)
    assert found[:5] == ["ct1", "ct2", "cd1", "cd2", "adm"]
    assert {"adm_g_2x", "biggan_4x", "adm_gu_4x", "unguided", "vanilla_s0_5"} <= {*found}
    assert not {"robust_s1", "vanilla_s0_25", "real_heldout"} & {*found}


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (lambda scale: scale["models"]["inception"]["network"].update(resize="pytorch"), "adm"),
        (lambda scale: scale["samples"]["eval"].update(per_seed=10000), "ct1"),
        (lambda scale: scale["protocols"]["train"]["reference"]["imagenet64"].update(called="mine"), "cd2"),
        (lambda scale: scale["unavailable"].update(ct2="no time"), "ct2"),
    ],
)
def test_what_would_be_measured_otherwise_is_none(imagenet, change, gone):
    scale = copy.deepcopy(imagenet)
    change(scale)
    try:
        assert gone not in names(scale)
    except InputError as error:
        assert "measures nothing that is public" in str(error)


def test_a_scale_without_any_says_so():
    given = configuration.with_defaults(configuration.ROOT, {"scale": "digits"})
    with pytest.raises(InputError, match="base_rows: this scale measures nothing that is public as its papers did"):
        base_rows.wanted(Results(configuration.load(configuration.ROOT, given)))
