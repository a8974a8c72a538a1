"""`export --push`: refused before anything is written, and what the hub is asked for."""

from __future__ import annotations

from unittest.mock import Mock, create_autospec

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.export.push import Hub


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")


@pytest.fixture
def api(monkeypatch):
    """A stand-in for HfApi, its methods with their signatures."""
    made = Mock()
    done = {"upload_folder": "https://huggingface.co/me/small/commit/1", "create_repo": None}
    for name, answer in done.items():
        method = create_autospec(getattr(HfApi(), name), return_value=answer)
        setattr(made.return_value, name, method)
    monkeypatch.setattr(huggingface_hub, "HfApi", made)
    return made


def test_the_folder_goes_up_in_one_commit(online, api, tmp_path):
    hub = Hub.ready("me/small", private=True)
    assert hub.push(tmp_path, "Trial 3 of sst2") == "https://huggingface.co/me/small/commit/1"
    api.assert_called_once_with(token="hf_of_a_test")
    api.return_value.create_repo.assert_called_once_with("me/small", private=True, exist_ok=True)
    api.return_value.upload_folder.assert_called_once_with(
        repo_id="me/small", folder_path=tmp_path, commit_message="Trial 3 of sst2"
    )


def test_without_a_token_it_is_refused_and_says_where_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SpecError, match=r"--push me/small: no token; run `hf auth login`"):
        Hub.ready("me/small")


def test_offline_it_is_refused(online, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SpecError, match="unset HF_HUB_OFFLINE"):
        Hub.ready("me/small")


@pytest.mark.parametrize("name", ["small", "me/small/new", "me/.small", "me/a--b"])
def test_a_name_that_is_no_repository_is_refused(online, name):
    with pytest.raises(SpecError, match=f"--push {name}: "):
        Hub.ready(name)


def test_a_hub_that_does_not_answer_costs_nothing_that_was_written(online, api, tmp_path):
    api.return_value.create_repo.side_effect = ConnectionError("no route\nand more")
    with pytest.raises(TuneDistillError) as caught:
        Hub.ready("me/small").push(tmp_path, "Trial 3")
    assert str(caught.value) == (
        f"--push me/small: no route; {tmp_path} is written, and "
        f"`hf upload me/small {tmp_path}` tries again"
    )
