"""What flags can do about the facts that the library raises."""

from vton_jax.core import errors

MENDS: dict[type[errors.UserError], str] = {
    errors.NoGarmentFound: "Try another --garment_type, --garment_is=flat or person, or a clearer picture.",
    errors.SeveralGarments: "Name one picture with --garment.",
}


def sentence(error: BaseException) -> str:
    """What the command line says of an error: the fact, with the flag that mends it."""
    text = " ".join(str(error).split())
    if isinstance(error, errors.WrongOption):
        return f"--{text}"
    return " ".join([text, *(mend for kind, mend in MENDS.items() if isinstance(error, kind))])
