"""Flags: sizes, settings derived from dataclasses, flagfiles and errors in one sentence.

Conventions: a size is `HEIGHTxWIDTH`, for example 256x192. A field `latent_size` of the Linen module that a task keeps
in its field `multi_path_cnn` becomes `--multi_path_cnn.latent_size`; a plain field `l1_weight` of the task becomes
`--l1_weight`. A field that has the name of a flag which exists already shares that flag. The later flag wins; a
`--flagfile` inside a flagfile is looked for in the working directory, then beside the file that names it.
"""

import dataclasses
import inspect
import os
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from vton_jax.command_line import compilation_cache, mends
from vton_jax.core.errors import UserError
from vton_jax.core.options import did_you_mean

FLAGS = flags.FLAGS
_NONE = ("none", "None", "")


class SizeParser(flags.ArgumentParser):
    """Reads `256x192` as (256, 192)."""

    def parse(self, argument):
        if isinstance(argument, tuple):
            return argument
        parts = str(argument).lower().split("x")
        if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise ValueError("a size is HEIGHTxWIDTH in pixels, for example 256x192")
        return int(parts[0]), int(parts[1])

    def flag_type(self):
        return "HEIGHTxWIDTH"


class TupleParser(flags.ArgumentParser):
    """Reads `1,2,3` as a tuple of one type of item; an empty text is the empty tuple."""

    def __init__(self, item: type):
        super().__init__()
        self.item = item

    def parse(self, argument):
        if isinstance(argument, tuple | list):
            return tuple(argument)
        try:
            return tuple(self.item(part.strip()) for part in str(argument).split(",") if part.strip())
        except ValueError:
            raise ValueError(f"expected {self.item.__name__} values separated by commas") from None

    def flag_type(self):
        return f"{self.item.__name__},..."


class OptionalParser(flags.ArgumentParser):
    """Reads `none` as None and leaves the rest to another parser."""

    def __init__(self, inner: flags.ArgumentParser):
        super().__init__()
        self.inner = inner

    def parse(self, argument):
        return None if argument is None or argument in _NONE else self.inner.parse(argument)

    def flag_type(self):
        return f"{self.inner.flag_type()} or none"


class TextParser(flags.ArgumentParser):
    def flag_type(self):
        return "text"


class _Serializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return format_value(value)


def format_value(value) -> str:
    """The text that the parsers above read back: (256, 192) -> '256x192' for two whole numbers, else '1,2,3'."""
    if isinstance(value, tuple | list):
        whole_pair = len(value) == 2 and all(isinstance(item, int) for item in value)
        return ("x" if whole_pair else ",").join(map(str, value))
    return "none" if value is None else str(value)


def define_size(name: str, default: str | None, help_text: str, **kwargs):
    """Defines a flag that holds a (height, width) tuple."""
    return flags.DEFINE(SizeParser(), name, default, help_text, serializer=_Serializer(), **kwargs)


# --- settings from dataclasses ---------------------------------------------------------------------------------------


def _is_module(value) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _fields(settings) -> list[tuple[str, object, object]]:
    """(name, annotation, value) of the settable fields of a dataclass instance; Linen's own two are left out."""
    linen = hasattr(settings, "apply") and hasattr(settings, "clone")
    try:
        hints = typing.get_type_hints(type(settings))
    except Exception:  # an annotation that only a type checker can resolve: the default's type will do
        hints = {}
    return [
        (field.name, hints.get(field.name, field.type), getattr(settings, field.name, None))
        for field in dataclasses.fields(settings)
        if field.init and not (linen and field.name in ("parent", "name"))
    ]


def _is_repeated(annotation) -> bool:
    """Whether a field holds a text or several, whose flag may be given more than once."""
    return {str, tuple[str, ...]} <= set(typing.get_args(annotation))


def _parser(annotation, value, bounds: dict) -> flags.ArgumentParser | None:
    """How to read a field from text; None for what a flag cannot hold (functions, array types).

    Args: bounds: of numbers, `lower_bound` and `upper_bound`.
    """
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType) and type(None) in arguments:
        others = [argument for argument in arguments if argument is not type(None)]
        if others == [str] or _is_repeated(annotation):  # not given is None; "none" is a word like others
            return TextParser()
        inner = _parser(others[0], value, bounds) if len(others) == 1 else None
        return OptionalParser(inner) if inner else None
    if origin is typing.Literal:
        return flags.EnumParser([str(argument) for argument in arguments])
    if isinstance(value, bool) or annotation is bool:
        return flags.BooleanParser()
    if annotation is float or isinstance(value, float):
        return flags.FloatParser(**bounds)
    if annotation is int or isinstance(value, int):
        return flags.IntegerParser(**bounds)
    if annotation is str or isinstance(value, str):
        return TextParser()
    if annotation == tuple[int, int]:
        return SizeParser()
    if isinstance(value, tuple | list) and all(isinstance(item, int | float | str) for item in value):
        if len(value) == 2 and all(isinstance(item, int) for item in value) and len(arguments) == 2:
            return SizeParser() if Ellipsis not in arguments else TupleParser(int)
        item = type(value[0]) if value else next((a for a in arguments if a is not Ellipsis), str)
        return TupleParser(float if any(isinstance(i, float) for i in value) else item)
    return None


def define_settings(settings, prefix: str = "") -> None:
    """Defines a flag for every field of a dataclass (class or instance) and of the modules it keeps.

    A field's metadata may hold its 'help', 'lower_bound' and 'upper_bound' (`core.options.option`).
    """
    settings = settings() if isinstance(settings, type) else settings
    about = {field.name: field.metadata for field in dataclasses.fields(settings)}
    for name, annotation, value in _fields(settings):
        if _is_module(value):
            define_settings(value, f"{prefix}{name}.")
            continue
        bounds = {bound: about[name].get(bound) for bound in ("lower_bound", "upper_bound")}
        parser = _parser(annotation, value, bounds)
        if parser is None or prefix + name in FLAGS:
            continue
        text = about[name].get("help") or f"setting of {type(settings).__name__}"
        if isinstance(parser, flags.BooleanParser):
            flags.DEFINE_boolean(prefix + name, value, text)
        elif _is_repeated(annotation):
            flags.DEFINE_multi(parser, _Serializer(), prefix + name, value, text)
        elif isinstance(parser, flags.EnumParser):
            flags.DEFINE_enum(prefix + name, value, parser.enum_values, text)  # whose help lists the values
        else:
            flags.DEFINE(parser, prefix + name, value, text, serializer=_Serializer())


def build_settings(settings, shared: dict | None = None, prefix: str = ""):
    """An instance of a dataclass with the values of its flags.

    `shared` maps field names to values that hold in the dataclass and in every module it keeps (size, dtype), unless
    the module's own flag is given.
    """
    settings = settings() if isinstance(settings, type) else settings
    shared = shared or {}
    changes = {}
    for name, _, value in _fields(settings):
        flag = FLAGS[prefix + name] if prefix + name in FLAGS else None  # noqa: SIM401  (FLAGS has no get)
        if _is_module(value):
            changes[name] = build_settings(value, shared, f"{prefix}{name}.")
        elif name in shared and (not prefix or flag is None or not flag.present):
            changes[name] = shared[name]
        elif flag is not None:
            changes[name] = tuple(flag.value) if isinstance(flag, flags.MultiFlag) and flag.value else flag.value
    changes = {name: value for name, value in changes.items() if value is not getattr(settings, name, None)}
    if not changes:
        return settings
    return settings.clone(**changes) if hasattr(settings, "clone") else dataclasses.replace(settings, **changes)


# --- command lines ---------------------------------------------------------------------------------------------------


def expand_flagfiles(arguments: Sequence[str], beside: Path | None = None, seen: tuple[Path, ...] = ()) -> list[str]:
    """Replaces every `--flagfile=FILE` by the lines of the file (`#` and `//` begin comment lines), nested ones too."""
    expanded, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return expanded + [argument] + rest
        name, equals, value = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        if not equals:
            if not rest:
                raise UserError("--flagfile needs the name of a file.")
            value = rest.pop(0)
        path = Path(os.path.expanduser(value))
        if not path.is_file() and beside is not None and (beside / path).is_file():
            path = beside / path
        if not path.is_file():
            recipes = Path(__file__).resolve().parents[1] / "flagfiles"
            known = [file.name for file in recipes.glob("*.flags")]
            raise UserError(f"There is no flagfile {value}{did_you_mean(path.name, known, str(recipes) + os.sep)}.")
        path = path.resolve()
        if path in seen:
            raise UserError(f"The flagfile {path} includes itself.")
        try:
            lines = [line.strip() for line in path.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The flagfile {path} cannot be read: {error}.") from None
        lines = [line for line in lines if line and not line.startswith(("#", "//"))]
        expanded += expand_flagfiles(lines, path.parent, seen + (path,))
    return expanded


def last_value(arguments: Sequence[str], name: str) -> str | None:
    """The value that a flag will have, read from expanded arguments before flags are parsed."""
    value = None
    for index, argument in enumerate(arguments):
        flag, equals, text = argument.partition("=")
        if flag in (f"--{name}", f"-{name}"):
            value = text if equals else next(iter(arguments[index + 1 :]), None)
    return value


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line wants its flags explained."""
    return bool({"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(arguments))


def choose(name: str | None, known: Sequence[str], flag: str) -> str:
    """`name` if it is known; otherwise a UserError that lists what is."""
    if name in known:
        return name
    listed = ", ".join(sorted(known))
    if not name:
        raise UserError(f"Give --{flag}=NAME, one of: {listed}.")
    raise UserError(f"--{flag}={name} is unknown{did_you_mean(name, known) or '.'} Known are: {listed}.")


def our_flags() -> list[str]:
    """Names of the flags that this project defines, absl's and other libraries' left out."""
    names = []
    for module, listed in FLAGS.flags_by_module_dict().items():
        top = os.path.basename(module).split(".")[0]
        if module in (sys.argv[0], "__main__") or top in ("vton_jax", "train", "data"):
            names += [flag.name for flag in listed]
    return sorted(set(names))


def write_flags(path, step: int = 0, about: str = "") -> None:
    """Writes our flags as a flagfile that repeats the run, headed by `about` (what runs it) as a comment.

    A file already there that says other flags is kept as NAME_before_step_STEP.txt: the run has changed from there on.
    """
    lines = []
    for name in our_flags():
        value = FLAGS[name].value
        if isinstance(value, bool):
            lines.append(f"--{name}={str(value).lower()}")
        elif value is not None:
            lines.append(f"--{name}={','.join(map(str, value)) if _plain_list(name) else format_value(value)}")
    from etils import epath  # here: --help should not wait for it

    path = epath.Path(path)
    if path.exists():
        earlier = path.read_text()
        if [line for line in earlier.splitlines() if not line.startswith("#")] != lines:
            _replace(path.with_name(f"{path.stem}_before_step_{step}{path.suffix}"), earlier)
    _replace(path, "".join(f"{line}\n" for line in [f"# step {step}: {about}", *lines]))


def _replace(path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _plain_list(name: str) -> bool:
    parser = FLAGS[name].parser
    return isinstance(getattr(parser, "inner", parser), TupleParser)


def parse(
    argv: Sequence[str], define_more: Callable[[list[str]], None] | None = None, about: str = "", *, names: bool = False
) -> list[str]:
    """Parses a command line; `define_more(expanded arguments)` may define flags that depend on others' values.

    `about` stands above the flags where --help asks for them. Returns: what is no flag, wherever it stands; it is a
    mistake unless the command takes `names`.
    """
    arguments = expand_flagfiles(argv[1:])
    if asks_for_help(arguments):
        if define_more and ("model" not in FLAGS or last_value(arguments, "model")):  # no model: no flags of its own
            define_more(arguments)
        _print_help(about)
        raise SystemExit(0)
    if define_more:
        define_more(arguments)
    FLAGS.set_gnu_getopt()  # flags may stand behind names
    try:
        rest = FLAGS([argv[0], *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"There is no flag --{error.flagname}{did_you_mean(error.flagname, list(FLAGS))}") from None
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from None
    if rest and not names:
        raise UserError(f"Unexpected argument {rest[0]!r}: flags are written --name=value.")
    return rest


def _print_help(about: str) -> None:
    print(about.strip() + "\n")
    for name in our_flags():
        flag = FLAGS[name]
        choices = getattr(flag.parser, "enum_values", None)
        kind = "|".join(choices) if choices else flag.flag_type()
        default = "" if flag.default is None else f" (default: {format_value(flag.default)})"
        text = textwrap.fill(flag.help + default, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
        print(f"  --{name}={kind}\n{text}")


def is_user_error(error: BaseException) -> bool:
    """Ours, or a ValueError named MediaError."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, UserError) or (isinstance(error, ValueError) and "MediaError" in names)


def _is_want_of_memory(error: BaseException) -> bool:
    """Python's own, XLA's or OpenCV's."""
    return isinstance(error, MemoryError) or any(
        text in str(error) for text in ("RESOURCE_EXHAUSTED", "Insufficient memory")
    )


def run(main: Callable[..., None], define_more: Callable[[list[str]], None] | None = None, argv=None) -> None:
    """Runs an entry point: flags are parsed, then `main()` is called, or `main(*names)` where it takes names.

    Compiled programs are kept (`compilation_cache`). What the user can mend ends as one sentence on stderr and exit
    code 2, without a traceback, and so does want of memory; other errors keep theirs. Ctrl-C exits with 130.
    """
    app.define_help_flags()
    if "compilation_cache" not in FLAGS:
        flags.DEFINE_string("compilation_cache", None, compilation_cache.HELP)
    try:
        about = sys.modules[getattr(main, "__module__", "__main__")].__doc__ or ""
        takes_names = bool(inspect.signature(main).parameters)
        names = parse(sys.argv if argv is None else argv, define_more, about, names=takes_names)
        compilation_cache.use(FLAGS.compilation_cache)
        main(*names)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        raise SystemExit(130) from None
    except (ValueError, flags.Error) as error:
        if not is_user_error(error) and not isinstance(error, flags.Error):
            raise
        print(mends.sentence(error), file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        if not _is_want_of_memory(error):
            raise
        mend = "close other programs, or ask for less: fewer frames, a smaller size or batch"
        print(f"There is not enough memory; {mend}.", file=sys.stderr)
        raise SystemExit(2) from None
