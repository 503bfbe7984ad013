"""The flags that say what photos are called in the gallery.

Knows the command line library and the labels that flags end up in.
"""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from bulkup.errors import UsageError
from bulkup.flags import by_commas, flag, group
from bulkup.labels import FIELDS_TEXT, Labels, Template

LABELLING = group("Titles and tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFlags:
    """What every photo gets, over what its sidecars say."""

    title: Annotated[
        str | None,
        flag(
            f"Title of each photo: text with any of {FIELDS_TEXT}.",
            group=LABELLING,
            variable="BULKUP_TITLE",
            metavar="TEMPLATE",
        ),
    ] = None
    tag: Annotated[
        tuple[str, ...],
        Parameter(
            help="Tag for each photo, besides those of its sidecar; may be repeated. In the "
            "variable, commas part them.",
            group=LABELLING,
            env_var="BULKUP_TAG",
            env_var_split=by_commas,
            metavar="NAME",
            negative="",
            show_default=False,
        ),
    ] = ()
    author: Annotated[
        str | None, flag("Author of each photo.", group=LABELLING, variable="BULKUP_AUTHOR")
    ] = None
    comment: Annotated[
        str | None,
        flag("Description of each photo.", group=LABELLING, variable="BULKUP_COMMENT"),
    ] = None
    no_sidecars: Annotated[
        bool,
        flag(
            "Do not read what lies beside photos: XMP sidecars and the JSON of Google Takeout.",
            group=LABELLING,
            variable="BULKUP_NO_SIDECARS",
        ),
    ] = False
    rating_as_tag: Annotated[
        bool,
        flag(
            "Give a photo's rating as a tag, such as ★★★★.",
            group=LABELLING,
            variable="BULKUP_RATING_AS_TAG",
        ),
    ] = False
    people_as_tags: Annotated[
        bool,
        flag(
            "Give the people that Google Takeout names as tags.",
            group=LABELLING,
            variable="BULKUP_PEOPLE_AS_TAGS",
        ),
    ] = False

    def labels(self) -> Labels:
        """Return the checked values. Raises `UsageError`."""
        if not all(tag.strip() for tag in self.tag):
            raise UsageError("--tag is empty", hint="Give the tag's name: --tag holidays.")
        return Labels(
            title=None if self.title is None else Template(self.title, flag="--title"),
            tags=self.tag,
            author=self.author or "",
            comment=self.comment or "",
            sidecars=not self.no_sidecars,
            rating_as_tag=self.rating_as_tag,
            people_as_tags=self.people_as_tags,
        )
