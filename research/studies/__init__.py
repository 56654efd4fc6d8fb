"""One module for each study."""
