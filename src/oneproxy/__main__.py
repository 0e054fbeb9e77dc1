"""`python -m oneproxy` is the command `oneproxy`."""

from oneproxy.cli import main

if __name__ == "__main__":
    main()
