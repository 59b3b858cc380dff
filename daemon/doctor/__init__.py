"""`inboxd doctor`: checks of the installation, each with the command or change that fixes what it found."""
