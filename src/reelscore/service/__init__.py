"""HTTP service: upload videos, match them with a library, listen, render."""
