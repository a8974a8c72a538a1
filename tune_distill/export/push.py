"""`--push OWNER/NAME`: the exported folder as a repository of the Hugging Face hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tune_distill.errors import SpecError, TuneDistillError

_PAGE = "https://huggingface.co/settings/tokens"


@dataclass(frozen=True)
class Hub:
    """Where an export goes, and that it may."""

    repository: str  # OWNER/NAME
    token: str
    private: bool = False

    @classmethod
    def ready(cls, repository: str, *, private: bool = False) -> Hub:
        """The repository, if a push can be tried at all: asked before anything is written.

        Raises:
            SpecError: no such name, no token, or the hub is switched off.
        """
        from huggingface_hub import constants, get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        where = f"--push {repository}"
        try:
            validate_repo_id(repository)
        except HFValidationError as error:
            raise SpecError(f"{where}: {error}") from None
        if repository.count("/") != 1:
            raise SpecError(f"{where}: a repository is OWNER/NAME, as in me/my-student")
        if constants.HF_HUB_OFFLINE:
            raise SpecError(f"{where}: the hub is switched off; unset HF_HUB_OFFLINE")
        token = get_token()
        if not token:
            raise SpecError(
                f"{where}: no token; run `hf auth login`, or set HF_TOKEN to one with write access "
                f"({_PAGE})"
            )
        return cls(repository, token, private)

    def push(self, folder: Path, message: str) -> str:
        """Uploads a folder, in one commit; the repository is made if it isn't there.

        Args:
            folder: the export.
            message: of the commit.

        Returns:
            The commit's address.

        Raises:
            TuneDistillError: the hub refuses, or can't be reached; the folder stays.
        """
        from huggingface_hub import HfApi

        # Of the HTTP library that it uses, whichever that is.
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

        hub = HfApi(token=self.token)
        try:
            hub.create_repo(self.repository, private=self.private, exist_ok=True)
            done = hub.upload_folder(
                repo_id=self.repository, folder_path=folder, commit_message=message
            )
        except (HTTPError, OSError) as error:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            raise TuneDistillError(
                f"--push {self.repository}: {first}; {os.fspath(folder)} is written, and "
                f"`hf upload {self.repository} {os.fspath(folder)}` tries again"
            ) from error
        return str(done)
