"""An optimizer keeps training a converted model, and its tents if they are learned."""

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv2d, convert

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1),
}


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 2, 1),
    )


def step(model, optimizer):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, 8, 8, generator=generator)
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("keep_variance", [False, True])
def test_an_optimizer_goes_on(kind, keep_variance):
    model = network()
    optimizer = OPTIMIZERS[kind](model.parameters())
    step(model, optimizer)
    state = {p: {k: v.clone() for k, v in s.items()} for p, s in optimizer.state.items()}
    convert(model, optimizer=optimizer, keep_variance=keep_variance)
    assert len(optimizer.param_groups) == 1
    assert optimizer.state.keys() == set(model.parameters())
    for parameter, held in state.items():
        assert all(torch.equal(v, optimizer.state[parameter][k]) for k, v in held.items())
    before = values(model)
    step(model, optimizer)
    # Batch normalization takes out what the bias before it adds.
    assert all(not torch.equal(before[n], v) for n, v in values(model).items() if n != "0.bias")


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("learn_tent", ["layer", "channel"])
@pytest.mark.parametrize("stepped", [True, False])
def test_tents_join_the_optimizer(kind, learn_tent, stepped):
    model = network()
    optimizer = OPTIMIZERS[kind](
        [{"params": model[:3].parameters()}, {"params": model[3:].parameters(), "lr": 0.02}]
    )
    if stepped:
        step(model, optimizer)
    conversion = convert(model, optimizer=optimizer, learn_tent=learn_tent)
    assert conversion.without_optimizer == ()
    first, second, *new = optimizer.param_groups
    for group, source, index in zip(new, (first, second), (0, 3), strict=True):
        assert len(group["params"]) == 1
        assert group["params"][0] is model[index].raw_tent
        assert group["weight_decay"] == 0
        assert source["weight_decay"] == 0.1
        kept = set(source) - {"params", "weight_decay"}
        assert {k: group[k] for k in kept} == {k: source[k] for k in kept}
    assert [group["lr"] for group in new] == [first["lr"], 0.02]
    before = values(model)
    for _ in range(2):
        step(model, optimizer)
    after = values(model)
    assert all(
        not torch.equal(before[n], after[n]) for n in ("0.raw_tent", "3.raw_tent", "3.weight")
    )


def test_an_optimizer_of_named_parameters():
    model = network()
    optimizer = torch.optim.AdamW(model.named_parameters(), lr=0.01)
    convert(model, optimizer=optimizer, learn_tent=True)
    assert optimizer.param_groups[1]["param_names"] == ["0.raw_tent", "3.raw_tent"]
    step(model, optimizer)


def test_a_learning_rate_that_is_a_tensor_is_not_shared():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.01))
    convert(model, optimizer=optimizer, learn_tent=True)
    old, new = optimizer.param_groups
    old["lr"].mul_(0.5)
    assert new["lr"].item() == pytest.approx(0.01)


def test_a_weight_in_no_group():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model[3:].parameters())
    with pytest.warns(UserWarning, match="holds no weight of 0, so their tents are not learned"):
        conversion = convert(model, optimizer=optimizer, learn_tent=True)
    assert conversion.without_optimizer == ("0",)
    assert "learned tents not in the optimizer: 0" in str(conversion)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert id(model[3].raw_tent) in held
    assert id(model[0].raw_tent) not in held


def test_an_optimizer_of_a_single_group_is_refused():
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(ValueError, match="several groups to learn tents with, got LBFGS"):
        convert(model, optimizer=optimizer, learn_tent=True)
    assert type(model[0]) is nn.Conv2d
    convert(model, optimizer=optimizer)
    assert type(model[0]) is InterpodilConv2d


def test_an_optimizer_that_refuses_a_group_is_left_as_it_was():
    class Stubborn(torch.optim.SGD):
        def add_param_group(self, group):
            if len(self.param_groups) == 3:
                raise RuntimeError("no more groups")
            super().add_param_group(group)

    model = network()
    groups = [{"params": model[:3].parameters()}, {"params": model[3:].parameters()}]
    optimizer = Stubborn(groups, lr=0.1)
    before = values(model)
    with pytest.raises(RuntimeError, match="no more groups"):
        convert(model, optimizer=optimizer, learn_tent=True, keep_variance=True)
    assert len(optimizer.param_groups) == 2
    assert type(model[0]) is type(model[3]) is nn.Conv2d
    assert all(torch.equal(v, before[n]) for n, v in values(model).items())
