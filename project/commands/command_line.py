"""The command line: it finds the command, parses its arguments and prints help.

Arguments are parsed before the app is created, so that `--help` and usage errors work even if the
configuration is wrong.
"""

import argparse
import difflib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from flask_script_ng import Command, Manager, Option

from project.version import VERSION

PROGRAM = "manage.py"
NAME_AND_VERSION = f"users {VERSION}"
USAGE_ERROR = 2
"""The exit code of a usage error, the same as argparse's."""

HELP_OPTIONS = ("-h", "--help", "-?")
VERSION_OPTION = "--version"


class FunctionCommand(Command):  # type: ignore[misc]  # the library has no types
    """A command made from a function, whose parameters become the arguments.

    A parameter with a default becomes an option; any other is positional. `Annotated` holds its
    help text.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.run = function
        self.__doc__ = function.__doc__
        parameters = inspect.signature(function).parameters.values()
        self.option_list = [_option(parameter) for parameter in parameters]


class CommandLine(Manager):  # type: ignore[misc]  # the library has no types
    """The commands of `manage.py`, by name."""

    def command(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Add a function as a command of the same name."""
        self.add_command(func.__name__, FunctionCommand(func))
        return func

    def handle(self, prog: str, args: Sequence[str] = ()) -> Any:
        """Run the command that `args` names, and return its exit code."""
        name, *typed = args or [""]
        self.set_defaults()
        if not name or name in HELP_OPTIONS:
            print(self.overview())
            return 0 if name else USAGE_ERROR
        if VERSION_OPTION in (name, *typed[:1]):
            print(NAME_AND_VERSION)
            return 0
        command = self._commands.get(name) or self._fail_unknown(name)
        if getattr(command, "capture_all_args", False):
            return command(self(), typed)
        values = Parser(name, command).parse(typed)
        return command(self(), **values)

    def overview(self) -> str:
        """Return the list of commands, each with the first line of its help."""
        width = max(map(len, self._commands))
        lines = [f"usage: {PROGRAM} <command> [arguments]", "", "commands:"]
        lines += [f"  {name:{width}}  {_summary(self._commands[name])}" for name in self._commands]
        more = f"Run {PROGRAM} <command> --help for the arguments of a command."
        return "\n".join([*lines, "", more])

    def _fail_unknown(self, name: str) -> NoReturn:
        close = difflib.get_close_matches(name.lower().replace("-", "_"), self._commands, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"see: {PROGRAM} --help"
        fail(f"unknown command: {name!r}; {hint}")


class Parser(argparse.ArgumentParser):
    """Parses the arguments of one command."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(
            f"{PROGRAM} {name}", description=command.description, add_help=False, allow_abbrev=False
        )
        self._takes_value: dict[str, bool] = {}
        self._values: list[str] = []
        for option in command.get_options():
            self._add(option)
        shown = [one for one in HELP_OPTIONS if one not in self._takes_value]
        self.add_argument(*shown, action="help", help="Print this help and exit.")
        self.add_argument(
            VERSION_OPTION, action="version", version=NAME_AND_VERSION, help="Print the version."
        )
        self._takes_value |= dict.fromkeys((*shown, VERSION_OPTION), False)

    def parse(self, typed: Sequence[str]) -> dict[str, Any]:
        """Return the values of the arguments by name. On a usage error print it and exit."""
        options, values = self._separate(typed)
        if len(values) > len(self._values) and not {*options} & {*HELP_OPTIONS}:
            self._fail_unexpected(values)
        return vars(self.parse_args([*options, "--", *values] if values else options))

    def error(self, message: str) -> NoReturn:
        """Print a usage error in one line and exit."""
        fail(f"{message}; see: {self.prog} --help")

    def _fail_unexpected(self, values: Sequence[str]) -> NoReturn:
        for word in values:
            if word.startswith("--"):
                self.error(f"unknown option: {word!r}")
        self.error(f"unexpected argument: {values[len(self._values)]!r}")

    def _add(self, option: Option) -> None:
        action = self.add_argument(*option.args, **option.kwargs)
        takes_value = action.nargs != 0
        if action.option_strings:
            self._takes_value |= dict.fromkeys(action.option_strings, takes_value)
        else:
            self._values.append(action.dest)

    def _separate(self, typed: Sequence[str]) -> tuple[list[str], list[str]]:
        """Separate options from positional values, so that a value may begin with a dash.

        argparse treats every word with a leading dash as an option.
        """
        options: list[str] = []
        values: list[str] = []
        words = iter(typed)
        for word in words:
            takes_value = self._takes_value.get(word)
            if word == "--":
                values.extend(words)
            elif takes_value:
                options.append(self._with_value(word, next(words, None)))
            elif takes_value is not None or self._includes_value(word):
                options.append(word)
            else:
                values.append(word)
        return options, values

    def _with_value(self, option: str, value: str | None) -> str:
        if value is None:
            # As in Flask-Script, `-h` is short for --host where a value follows; alone it is help.
            return "--help" if option == "-h" else option
        return f"{option}={value}" if option.startswith("--") else f"{option}{value}"

    def _includes_value(self, word: str) -> bool:
        """Return whether a word is an option with its value: `--port=80` or `-p80`."""
        name, _, value = word.partition("=")
        if value and self._takes_value.get(name):
            return True
        return not self._values and bool(self._takes_value.get(word[:2]))


def fail(message: str) -> NoReturn:
    """Print a usage error on standard error and exit."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _summary(command: Command) -> str:
    text: str = getattr(command, "help", None) or command.__doc__ or ""
    return text.strip().partition("\n")[0]


def _option(parameter: inspect.Parameter) -> Option:
    name, text = parameter.name, _help_text(parameter)
    if parameter.default is parameter.empty:
        return Option(name, help=text)
    flags = dict.fromkeys((f"-{name[0]}", f"--{name.replace('_', '-')}", f"--{name}"))
    if isinstance(parameter.default, bool):
        return Option(*flags, dest=name, action="store_true", default=False, help=text)
    shown = (
        f"{text.removesuffix('.')} (default: {parameter.default})." if parameter.default else text
    )
    return Option(*flags, dest=name, default=parameter.default, help=shown)


def _help_text(parameter: inspect.Parameter) -> str:
    text: str = parameter.annotation.__metadata__[0]
    return text
