"""What systemctl shows, as it is set."""

import pytest

from virtsec.host.systemd import percent


@pytest.mark.parametrize(
    ("shown", "quota"),
    [
        ("1s", "100%"),
        ("500ms", "50%"),
        ("1min 4s", "6400%"),
        ("1s 500ms", "150%"),
        ("infinity", ""),
    ],
)
def test_processor_time_in_a_second_is_a_quota(shown: str, quota: str) -> None:
    assert percent(shown) == quota
