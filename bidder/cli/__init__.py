"""The command line: one verb a file, each with NAME, HELP, configure(parser) and run(args) -> exit code."""
