"""`python -m quickstudy`, which is also how torchrun starts it."""

from .cli.main import run

if __name__ == "__main__":
    run()
