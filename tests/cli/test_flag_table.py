from tests.support.flag_table import COMMANDS, flag_table, flags, in_readme, tables


def test_the_readme_tells_of_commands_and_flags_as_the_code_has_it() -> None:
    assert in_readme() == tables(), "python -m tests.support.flag_table renews it"


def test_the_table_has_every_flag_and_variable_of_every_command() -> None:
    lines = flag_table().splitlines()
    for command in COMMANDS:
        for argument in flags(command):
            names = [*argument.names, *(argument.parameter.env_var or ())]
            (line,) = [
                line
                for line in lines
                if all(f"`{name}`" in line.split(" | ")[0] for name in names)
                and command in line.rstrip(" |").split(" | ")[-1].split(", ")
            ]
            assert line.count(" | ") == 3, line
