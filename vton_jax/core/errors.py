"""Errors that a user can mend: one clear sentence, shown without a traceback.

The library raises facts. What a flag can do about one stands with the flags: an entry point's `MENDS` maps a type of
error to the sentence that is said after it.
"""

from collections.abc import Sequence


class UserError(ValueError):
    """A wrong input, option, file or run, said in one sentence together with its mend."""


class WrongOption(UserError):
    """An option that cannot be, by its name; the command line shows it as a flag."""

    def __init__(self, name: str, value: object, why: str):
        super().__init__(f"{name}={value} {why}")
        self.name, self.value = name, value


class EmptyPicture(UserError):
    """A picture of one colour. `where` says which: "the photo", "frame 3 of the pose clip"."""

    def __init__(self, where: str):
        super().__init__(f"There is nothing in {where}: all its pixels have one colour; use another one.")
        self.where = where


class NoPersonFound(UserError):
    """A picture in which nobody is seen. `where`: see `EmptyPicture`."""

    def __init__(self, where: str):
        super().__init__(f"No person was found in {where}; use a picture that shows one person from head to foot.")
        self.where = where


class GarmentForPerson(UserError):
    """A garment where a person should be. `where`: see `EmptyPicture`."""

    def __init__(self, where: str):
        super().__init__(f"There is a garment in {where}, and nobody; person and garment may be exchanged.")
        self.where = where


class NoTorso(UserError):
    """A person of whom too little is shown to be dressed. `where`: see `EmptyPicture`."""

    def __init__(self, where: str):
        super().__init__(
            f"There is hardly more than a head in {where}; use a picture that shows the person to the hips."
        )
        self.where = where


class PersonLost(UserError):
    """A clip that shows nobody for too long or too often. `when` says where: "in 12 of its 20 frames"."""

    def __init__(self, when: str):
        super().__init__(f"The pose clip shows nobody {when}; give a part of it that shows one person throughout.")
        self.when = when


class NoGarmentFound(UserError):
    """A picture without a garment of the type `kind`, read as a garment laid `flat` or as a person."""

    def __init__(self, kind: str, flat: bool, where: str = "the garment picture"):
        what = "garment laid flat" if flat else "person"
        super().__init__(f"No garment of type '{kind}' was found in {where}, read as a {what}.")
        self.kind, self.flat, self.where = kind, flat, where


class SeveralGarments(UserError):
    """A system was given several garments, and dresses people in one at a time."""

    def __init__(self, system: str):
        super().__init__(f"The system {system} puts on one garment at a time; give one.")


class GarmentsExclude(UserError):
    """Garments that nobody wears together, by their types."""

    def __init__(self, kinds: Sequence[str]):
        several = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) > 1]
        if several:
            text = (
                f"{kinds.count(several[0])} garments of type '{several[0]}' are not worn at once; give one of a type."
            )
        else:
            whole = next(kind for kind in kinds if kind in ("dress", "outfit"))
            text = (
                f"A garment of type '{whole}' is worn alone; give it without the others, or an upper and a lower one."
            )
        super().__init__(text)
        self.kinds = tuple(kinds)


class Cancelled(Exception):
    """Somebody cancelled the job."""
