"""What the commands of the command line do and print."""
