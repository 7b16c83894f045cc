"""What a configuration names and is not installed is refused before the first job."""

import pytest
from helpers import read_config

from irn.checks import packages
from irn.errors import IrnError
from irn.workflow.run import Run, check_data


def refusal_of(*entries: str) -> str:
    with pytest.raises(IrnError) as error:
        check_data(Run(read_config(entries=["dataset={kind: demo}", *entries])))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_typo_in_a_backbone_is_answered_with_names_that_are_near() -> None:
    said = refusal_of("backbone=resnet999")
    assert said.startswith("config: backbone is 'resnet999', a network that neither torchvision nor timm has")
    assert "did you mean resnet" in said
    assert "did you mean" in refusal_of("backbone=resnet18", "sweep={backbone: [resnet18, resnet5O]}")


def test_every_network_of_timm_is_known() -> None:
    import timm

    assert set(timm.list_models()) == set(packages._networks_of_timm())


def test_pydensecrf_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "pydensecrf" else find_spec(name))
    said = refusal_of("ir_labels={crf: pydensecrf}")
    assert said.startswith("config: ir_labels.crf is 'pydensecrf', a package that is not installed; pip install")
