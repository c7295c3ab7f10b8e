"""An index of compressed pictures: built of files, kept in a file, looked through."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from vaecodec.bitstream.container import read_container
from vaecodec.codec import Codec
from vaecodec.coding.decoder import Decoding
from vaecodec.errors import VaecodecError, explain
from vaecodec.system.files import Source
from vaecodec.system.parallel import Progress
from vaecodec.uses.entries import Entry, Group, entry_of, group_of
from vaecodec.uses.index_file import read_groups, write_groups
from vaecodec.uses.searching import Match, Query, search

if TYPE_CHECKING:
    from vaecodec.types import ImageLike, SourceLike


@dataclass(frozen=True)
class Index:
    """Pictures to be found, by groups. refused: names of files that could not be read, and why, one line each.

    >>> index = features.Index.build({"one": data, "other": "photo.vaec", "none": b"no such file"})
    >>> len(index), index.refused
    (2, [('none', 'not a vaecodec file')])
    """

    groups: list[Group]
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(group.entries) for group in self.groups)

    def __iter__(self) -> Iterator[Entry]:
        return (entry for group in self.groups for entry in group.entries)

    @property
    def counts(self) -> dict[str, int]:
        """Files by the identity of their model, "" for those without latents."""
        counts: dict[str, int] = {}
        for group in self.groups:
            counts[group.model] = counts.get(group.model, 0) + len(group.entries)
        return counts

    @classmethod
    def build(
        cls,
        files: Mapping[str, SourceLike] | Iterable[str | os.PathLike[str]],
        codec: Codec | None = None,
        progress: Progress | None = None,
    ) -> Index:
        """Read .vaec files, given by their paths or by names of your own, side by side; what is no such file, is
        damaged or needs a model that is not here is in `refused`.

        >>> [entry.name for entry in features.Index.build(["photo.vaec"])]
        ['photo.vaec']
        """
        codec = codec or Codec(metadata="none")
        named = files if isinstance(files, Mapping) else {str(file): file for file in files}
        groups: dict[tuple[str, int], Group] = {}
        refused = []
        work = partial(_read, Decoding(codec.session, codec.session.lane), codec.max_pixels)
        for name, found in zip(named, codec.session.workers.map(work, named.items(), progress), strict=True):
            if isinstance(found, str):
                refused.append((name, found))
            else:
                key, entry = found
                groups.setdefault(key, Group(*key)).entries.append(entry)
        return cls([groups[key] for key in sorted(groups)], refused)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """As an .npz file, which appears whole or not at all; raises VaecodecError where one is there already, unless
        `overwrite`. What was refused is not in it.

        >>> features.Index.build(["photo.vaec"]).save("archive.npz")
        """
        write_groups(path, self.groups, overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Index:
        """What `save` wrote. Nothing in it is trusted: raises FormatError where anything is not as it should be,
        VaecodecError where it cannot be read.

        >>> features.Index.build(["photo.vaec"]).save("archive.npz", overwrite=True)
        >>> features.Index.load("archive.npz").counts
        {'2341a3a8': 1}
        """
        return cls(read_groups(path))

    def find(
        self, image: ImageLike | SourceLike, parts: bool = False, count: int = 5, codec: Codec | None = None
    ) -> list[Match]:
        """The `count` pictures that most likely show the query, the best first.

        image: any image or .vaec file. As a whole, re-encoded, at another size, mirrored, with a border cut off; with
        `parts` also as a part of a picture, in a fraction of a second for a thousand pictures: the shortlist is made of
        textures of latents, for which the query is encoded as the files were. codec: with the model of the files where
        it is not shipped. That a picture is *not* there is never sure: look at the scores. Raises ModelError where the
        model of the index is not here, ImageError or FormatError for the query, VaecodecError for an empty index.

        >>> (match,) = features.Index.build(["photo.vaec"]).find("photo.png")
        >>> match.name, match.area, match.mirrored
        ('photo.vaec', (0, 0, 96, 64), False)
        """
        codec = codec or Codec(metadata="none")
        return search(self.groups, Query.of(image, codec), parts, count)


def _read(decoding: Decoding, max_pixels: int, named: tuple[str, SourceLike]) -> tuple[tuple[str, int], Entry] | str:
    """The group of a file and its entry, or in one line what is wrong with it."""
    name, data = named
    try:
        with Source(data, name=name) as source:
            container = read_container(source, max_pixels)
            return group_of(container), entry_of(decoding, container, name)
    except (VaecodecError, MemoryError) as error:
        return explain(error)
