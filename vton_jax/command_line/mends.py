"""What flags can do about the facts that the library raises."""

from vton_jax.core import errors

MENDS: dict[type[errors.UserError], str] = {
    errors.NoGarmentFound: "Try another --garment_type, --garment_is=flat or person, or a clearer picture.",
    errors.SeveralGarments: "Name one picture with --garment.",
}


def said(said) -> str:
    """A line for a `systems.job.Said`: what a picture was taken for and how surely, and what overrules it."""
    line = said.what.line(said.file)
    mend = "; --garment_is and --garment_type overrule it" if said.part == "garment" and said.what.unsure else ""
    return line + mend


def sentence(error: BaseException) -> str:
    """What the command line says of an error: the fact, with the flag that mends it."""
    text = " ".join(str(error).split())
    if isinstance(error, errors.WrongOption):
        return f"--{text}"
    return " ".join([text, *(mend for kind, mend in MENDS.items() if isinstance(error, kind))])
