"""The section `data` of a spec: what is refused before anything is opened."""

import pytest

from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.spec import parse_spec
from sweeps.study.study import study_name


def spec(**data):
    search = {"layer.edge": {"float": [0.0, 1.0]}}
    return parse_spec({"name": "s", "budget": {"trials": 1}, "search": search, "data": data}, "f")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"name": "torchvision/fashionmnst"},
            "'fashionmnst' .*; did you mean torchvision/FashionMNIST",
        ),
        ({"name": "torchvision/ImageNet"}, "no dataset 'ImageNet' that can be downloaded"),
        ({"name": "torchvision/EMNIST"}, "needs options: {split: ...}, one of balanced, .*missing"),
        ({"name": "torchvision/EMNIST", "options": {"split": "all"}}, "of balanced, .*, not 'all'"),
        ({"name": "torchvision/EMNIST", "options": {"spilt": "mnist"}}, "'spilt'; it takes split"),
        ({"name": "torchvision/MNIST", "options": {"split": "a"}}, "'split'; it takes no options"),
        (
            {"name": "torchvision/Food101"},
            "images of torchvision/Food101 differ in size; give data.size",
        ),
        ({"name": "cifar10", "options": {"a": 1}}, "cifar10 takes no options"),
        ({"name": "cifar10", "import": "mydata:build"}, "give a name or an import, not both"),
        ({"import": "mydata"}, ".import: write module:name"),
    ],
)
def test_refused(data, message):
    with pytest.raises(SweepsError, match=f"^f: data.*{message}"):
        spec(**data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"name": "cifar10"}, "s-cifar10"),
        ({"name": "torchvision/EMNIST", "options": {"split": "letters"}}, "s-EMNIST-letters"),
        ({"import": "mydata:build", "options": {"bias": 1}}, "s-mydata-build"),
    ],
)
def test_it_is_written_as_it_was_given(data, name):
    made = spec(**data)
    assert study_name(made) == name
    written = made.data.model_dump()
    assert {key: written[key] for key in ("name", "import", "options") if key in written} == data
    assert DataConfig.model_validate(written) == made.data
