"""Where studies live: a folder that every process sees, or an object store (s3://, gs:// ...).

The rest works on local files, renamed, appended to and memory-mapped. For an object store they are
this machine's copy: `bucket` (objects), `mirror` (the copy), `manifest` (what counts only whole),
`lease` (one search a study), `wanted` (whose a file is), `study` (what of a study travels when). A
folder has none of this: its study is a plain `StudyFolder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tune_distill.folder import StudyFolder
from tune_distill.storage.mirror import ROOT, Mirror
from tune_distill.storage.study import StudyInBucket

__all__ = ["ROOT", "Mirror", "Storage", "StudyInBucket", "at"]


@dataclass(frozen=True)
class Storage:
    """The place of studies: in a folder, or in an object store of which the folder is a copy."""

    folder: Path
    mirror: Mirror | None = None

    def study(self, name: str) -> StudyFolder:
        """A study, whether it has been started or not."""
        if self.mirror:
            return StudyInBucket(self.folder / name.strip("/"), self.mirror)
        return StudyFolder(self.folder / name)

    def names(self) -> list[str]:
        """The studies that have been started."""
        if self.mirror:
            return self.mirror.bucket.folders_with("study.yaml")
        return sorted(path.parent.name for path in self.folder.glob("*/study.yaml"))


def at(storage: str | Path) -> Storage:
    """What `--storage` names.

    Raises:
        SpecError: an object store that isn't there, or can't be reached.
    """
    if "://" not in str(storage):
        return Storage(Path(storage))
    mirror = Mirror(str(storage).rstrip("/"))
    mirror.bucket.check()
    return Storage(mirror.root, mirror)
