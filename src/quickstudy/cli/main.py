"""The entry point: commands loaded when they are called, errors turned into one message and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click

from ..errors import ProcessGone, QuickstudyError, UserError
from ..version import __version__

EXIT_FAILED, EXIT_USER, EXIT_INTERRUPTED = 1, 2, 130
LAUNCHED = "QUICKSTUDY_LAUNCHED"  # set in processes that another one has started and speaks for

# How long a thread of libgomp looks whether there is more to do before it sleeps; read once, when torch is loaded. With
# its own 300,000 looks, one other busy process on the machine makes small steps 20 to 80 times slower (two cores: 76 s
# against 4 s), since threads wait for one that is not running. Without other processes there is no difference.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

# name -> (module, one line); the modules import torch, so that --help does not.
COMMANDS = {
    "study": ("study", "From many tasks to a judged learner for the next one: the main job."),
    "train": ("train", "Meta-train the learner of a recipe."),
    "evaluate": ("judge", "Judge a bundle on tasks it never saw, with an interval."),
    "compare": ("judge", "Compare two results, task by task."),
    "audit": ("judge", "Look for leaks in a bundle and its tasks."),
    "adapt": ("use", "Learn a new task from a few examples: support in, a state file out."),
    "predict": ("use", "Answer questions with a state."),
    "serve": ("serve", "A bundle as an HTTP service, and a page that teaches it in the browser."),
    "export": ("export", "A bundle for other programs: ONNX that adapts and predicts, or a torch program."),
    "automl": ("automl", "A table in, the best model for it out, with what earlier tables taught."),
    "select": ("select", "What to try first on a new data set, by a table of past scores."),
    "tune": ("tune", "Settings of a command of yours, searched with what the past knows."),
    "list": ("show", "What there is: learners, task sources, nets."),
    "data": ("show", "Data sets: what is here; fetch NAME; verify."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{COMMANDS[name][0]}")
        return getattr(module, f"{name}_command")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ..errors import UnknownName

            raise UnknownName.among("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="quickstudy")
def main() -> None:
    """Learn across many small tasks, so that the next one needs a handful of examples.

    \b
    quickstudy study                        the main job, on the embedded glyphs (3 minutes)
    quickstudy list learners                what there is, with its paper
    quickstudy train recipes/sine-maml.toml meta-train what a recipe names
    quickstudy COMMAND --help               more on one command, with examples

    Exit codes: 0 done, 1 failed, 2 the input is at fault, 130 interrupted.
    """


def run() -> None:
    """What the `quickstudy` script calls."""
    sys.exit(call())


def call(arguments: list[str] | None = None) -> int:
    """Run one command line; an exit code comes back, and no traceback ever for a user's mistake."""
    # Of processes that train together one says what all have met, and whoever started them says which is gone.
    speaks = os.environ.get("RANK", "0") == "0"
    try:
        done = main.main(arguments, prog_name="quickstudy", standalone_mode=False)
    except QuickstudyError as error:
        if speaks and not (isinstance(error, ProcessGone) and LAUNCHED in os.environ):
            click.echo(f"{type(error).__name__}: {error}", err=True)
        return EXIT_USER if isinstance(error, UserError) else EXIT_FAILED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return EXIT_USER
    except click.ClickException as error:
        error.show()
        return EXIT_USER
    except (KeyboardInterrupt, click.Abort):
        if speaks and LAUNCHED not in os.environ:
            click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever reads our output has had enough (`| head`); nothing can be said to them any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return done if isinstance(done, int) else 0  # what a command gave to context.exit()
