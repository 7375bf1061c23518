"""``sweeps models``: what there is, and what the layer changes in it."""


def test_networks_are_listed_with_their_parameters_and_stems(cli):
    status, out, _ = cli("models")
    assert status == 0
    assert ["resnet34", "21,797,672", "7x7,", "stride", "2"] in [
        x.split() for x in out.splitlines()
    ]


def test_a_network_is_shown_without_the_layer_and_with_it(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = cli("models", "resnet18", "--where", "layer1.0.*", "--size", "64")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    # 16 x 16 units of 64 channels, 9 weights for each pair, and the tent's filter.
    shown = next(row for row in rows if row[:1] == ["layer1.0.conv2"])
    assert " ".join(shown) == "layer1.0.conv2 64x16x16 3x3 -> 7x7 1 36,864 9.4 -> 9.6 27 -> 59"
    assert "2 of 20 convolutions of resnet18 become the layer" in out


def test_a_name_or_a_glob_that_is_wrong_is_refused_in_one_line(cli):
    assert cli("models", "resnet43")[2].count("did you mean resnet34?") == 1
    status, _, err = cli("models", "resnet18", "--where", "layr1.*", "--size", "64")
    assert status == 1
    assert "model.where: layr1.* chooses no convolution" in err
    assert err.count("\n") == 1
