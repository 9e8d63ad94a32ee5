"""The [models] section of the settings: where checkpoints lie on this machine and where downloads come from and go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP = "jepa-console"


@dataclass(frozen=True, slots=True)
class ModelsConfig:
    folders: tuple[str, ...]
    downloads: str
    hub: str
    stall_s: float

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """A person's own folders of checkpoints."""
        return tuple(Path(name).expanduser() for name in self.folders) or (documents_folder("jepa-models"),)

    @property
    def cache(self) -> Path:
        """Where downloads go, each checkpoint in a folder of its own."""
        return Path(self.downloads).expanduser() if self.downloads else data_folder() / "models"

    @property
    def library(self) -> tuple[Path, ...]:
        """Every folder that is looked through."""
        return (*self.own_folders, self.cache)

    @property
    def index(self) -> Path:
        """Where it is remembered what was found out about them."""
        return data_folder() / "library.json"


def documents_folder(name: str) -> Path:
    """A folder of that name in the documents folder, or in the home folder where there is none."""
    documents = Path(platformdirs.user_documents_dir())
    return (documents if documents.is_dir() else Path.home()) / name


def data_folder() -> Path:
    """The system's folder for what this program keeps and a person need not see."""
    return Path(platformdirs.user_data_dir(APP, appauthor=False))
