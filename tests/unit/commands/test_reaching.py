"""set --expose and --unexpose: which ports of a container are the host's."""

from __future__ import annotations

from tests.unit.fakes import fake_host, record
from tests.unit.samples import SAMPLES, sample
from virtsec.commands.reaching import reach
from virtsec.spec import Exposed

STATIC = SAMPLES["static"].spec.network


def test_one_port_in_anothers_place_stays_there_however_often_that_is_asked_for() -> None:
    before = sample("web", network=STATIC, exposed=(Exposed(8080, 81, "tcp_81_t"),))
    host = fake_host(record("web", before.xml))
    for _ in range(2):
        reached = reach("web", host, expose=[Exposed(8080, 80)], unexpose=[8080])
        assert [str(each) for each in reached.exposed] == ["8080:80"]
        assert [each.label for each in reached.exposed] == ["tcp_80_t"]
