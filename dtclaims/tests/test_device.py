"""How many cores there are for this process."""

from pathlib import Path

import pytest

from dtclaims import device
from dtclaims.device import cores_each, cpu_count


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """16 cores, and control groups in a folder."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(device, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(device, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def grant(machine: Path, group: str, text: str) -> None:
    folder = machine / "cgroup" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(text)


def grant_v1(machine: Path, group: str, quota: int) -> None:
    folder = machine / "cgroup" / "cpu" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")


def test_no_group_grants_all() -> None:
    """Where there are no control groups, all cores of the affinity count."""
    assert cpu_count() == 16


def test_affinity_counts_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota above the affinity adds nothing; where affinity is unknown, the machine's cores count."""
    grant(machine, "", "400000 100000")
    assert cpu_count() == 4
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5})
    assert cpu_count() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert cpu_count() == 3


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", 16), ("", 16)])
def test_whole_cores_of_a_quota(machine: Path, text: str, cores: int) -> None:
    """Part of a core is none, but there is always one; "max" and what cannot be read grant all."""
    grant(machine, "", text)
    assert cpu_count() == cores


def test_the_narrowest_group_above_a_process_counts(machine: Path) -> None:
    """A batch system's limit may be on any group above the process's own."""
    (machine / "own").write_text("0::/slurm/job_7/step_0\n")
    grant(machine, "slurm/job_7/step_0", "max 100000")
    grant(machine, "slurm/job_7", "300000 100000")
    grant(machine, "slurm", "900000 100000")
    grant(machine, "other", "100000 100000")
    assert cpu_count() == 3


def test_version_1_is_read_too(machine: Path) -> None:
    """Its quota is -1 where there is none; a name that is only known outside the container is passed over."""
    (machine / "own").write_text("5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    grant_v1(machine, "", 500000)
    assert cpu_count() == 5
    grant_v1(machine, "docker/abc", 200000)
    assert cpu_count() == 2
    grant_v1(machine, "docker/abc", -1)
    assert cpu_count() == 5


def test_a_worker_may_use_a_quarter_of_the_cores() -> None:
    """One worker, or two, may use all; many may use a quarter each, since few of them step physics at once."""
    assert [cores_each(workers, 16) for workers in (1, 2, 3, 4, 8, 64)] == [16, 16, 11, 8, 4, 4]
    assert cores_each(32, 64) == 16
    assert [cores_each(workers, 1) for workers in (1, 2, 5)] == [1, 1, 1]
