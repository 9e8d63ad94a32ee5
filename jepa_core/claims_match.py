"""Which published version a loaded checkpoint is, if any. The one place that decides whose figures may stand where.

The rule, most certain first:

1. The catalogue proves by its sha256 that the file IS a released one (`proved_id`, or whoever fetched it says so):
   the figures of that version belong to it.
2. The catalogue proves that it is a conversion. Those hold the context encoder, the figures were measured with the
   target encoder: shown as published, not as measured with this file.
3. Its family, architecture and input size are those of a released version: the same. A self-trained or demo checkpoint
   never gets further than this.
4. Anything else: no published figure belongs to this file.

A file's name proves nothing and is not looked at. Must never guess upward.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jepa_core.catalogue import Catalogue, released
from jepa_core.claims import Figure, SystemClaims, Version, figures_for
from jepa_core.types import CheckpointInfo


@dataclass(frozen=True, slots=True)
class Belonging:
    """Where a loaded file stands among the published versions."""

    kind: str  # "released" | "conversion" | "like" | "none" | "other system"
    system: str
    versions: tuple[Version, ...] = ()  # the one it is, or those it is built like
    how: str = ""  # one sentence: what this is known by
    figures: tuple[Figure, ...] = ()  # of the version that this file is
    published: tuple[Figure, ...] = ()  # published for `versions`, not measured with this file

    @property
    def is_released(self) -> bool:
        return self.kind == "released"

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        names = "; or ".join(version.id for version in self.versions)
        return {
            "released": f"This file is the released {self.system} {names}.",
            "conversion": f"This file is a conversion of the released {self.system} {names}.",
            "like": f"This file is built like {self.system} {names}; it is not known to be a released one.",
            "other system": "This file is of another system.",
        }.get(self.kind, "No published figure belongs to this file.")


def proved_id(info: CheckpointInfo, catalogue: Catalogue | None = None) -> str:
    """Id of the catalogue's entry that a checkpoint is proved to be by its sha256; empty where nothing proves one."""
    if not info.sha256:
        return ""
    identity = (catalogue or released()).entry_for("", sha256=info.sha256)
    return identity.entry.id if identity.is_proved and identity.entry is not None else ""


def belonging(info: CheckpointInfo, claims: SystemClaims, proved: str = "") -> Belonging:
    """What of `claims` belongs to a checkpoint.

    proved   id of the catalogue's entry that this very file was proved to be, empty where it was not; never a guess
             from a name
    """
    if info.family != claims.system:
        return Belonging(
            "other system", info.family, how=f"It is {info.family}; this page is about {claims.system}."
        )
    for version in claims.versions:
        if proved and proved in version.catalogue:
            how = "The catalogue knows its sha256."
            return Belonging("released", claims.system, (version,), how, figures=figures_for(claims, version))
        if proved and proved in version.conversions:
            how = "It holds the context encoder; the figures were measured with the target encoder."
            published = figures_for(claims, version)
            return Belonging("conversion", claims.system, (version,), how, published=published)
    alike = tuple(version for version in claims.versions if is_built_like(info, version))
    if not alike:
        how = "No released version has this architecture and input size."
        return Belonging("none", claims.system, how=how)
    how = "Architecture and input size agree; nothing proves whose weights these are."
    return Belonging("like", claims.system, alike, how, published=_figures(claims, alike))


def is_built_like(info: CheckpointInfo, version: Version) -> bool:
    """Whether every word of the version's architecture is one of the checkpoint's. Case counts: ViT-g is not ViT-G."""
    has = {word.strip() for word in info.variant.split(",")} | {f"{info.input.size} px"}
    return bool(version.architecture) and set(version.architecture) <= has


def _figures(claims: SystemClaims, versions: Iterable[Version]) -> tuple[Figure, ...]:
    return tuple(figure for version in versions for figure in figures_for(claims, version))
