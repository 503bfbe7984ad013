from importlib.metadata import version

import bulkup


def test_the_version_is_the_distributions() -> None:
    assert bulkup.__version__ == version("bulkup")
