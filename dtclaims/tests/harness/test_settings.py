"""What a user may type, and what it means."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.device import cpu_count, cuda_devices, gpus_for, limited, machine_of, resolve_device
from dtclaims.errors import UsageError
from dtclaims.harness.options import OPTIONS, Choice, flag, parse_fail_on, parse_seeds, value_of
from dtclaims.tests.support.studies import LAB, settings_of


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("1", (0,)), ("0,3,7", (0, 3, 7)), ("7,", (7,)), (" 2 , 5 ", (2, 5))]
)
def test_seeds_are_a_count_or_a_list(text: str, seeds: tuple[int, ...]) -> None:
    """`3` means the first three; a comma makes a list."""
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "x", "", ",", "-1", "1,1", "1.5", "1,,2", "1;2", "²", "99999999999,"])
def test_unusable_seeds_are_refused(text: str) -> None:
    """One error that says what was given and what is expected."""
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


@given(st.lists(st.integers(0, 2**31 - 1), min_size=2, unique=True))
def test_any_list_of_seeds_comes_back(seeds: list[int]) -> None:
    """Lists keep their order."""
    assert parse_seeds(",".join(map(str, seeds))) == tuple(seeds)


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing chosen: mini, both protocols, three seeds, DTCLAIMS_HOME's store, failing on error and refuted."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    settings = settings_of({})
    assert (settings.scale.name, settings.seeds) == ("mini", (0, 1, 2))
    assert [protocol.name for protocol in settings.protocols] == ["published", "corrected"]
    assert settings.store == tmp_path / "store"
    assert settings.fail_on == {"error", "refuted"}
    assert "without -m gpu" in settings.header()


def test_auto_scale_on_a_gpu_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -m gpu and neither the paper's weights nor its data, auto means small, with the reason and five seeds."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    settings = settings_of({}, gpu_selected=True, tasks=["hopper"])
    assert (settings.scale.name, settings.seeds) == ("small", (0, 1, 2, 3, 4))
    assert "gpt2" in settings.scale_reason


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"scale": "huge"}, "unknown scale"),
        ({"scale": "smal"}, "unknown scale.*Did you mean small?"),
        ({"task": "hoper"}, "--task cannot be read.*Did you mean hopper?"),
        ({"fail_on": "refute"}, "--fail-on cannot be read.*Did you mean refuted?"),
        ({"protocol": "mine"}, "unknown protocol"),
        ({"device": "tpu"}, "unknown device"),
        ({"device": "cuda:x"}, "unknown device"),
        ({"device": "cuda:²"}, "unknown device"),
        ({"device": "cuda:"}, "unknown device"),
        # What no machine holds is refused, not begun.
        ({"seeds": "1000000000"}, "--seeds names too many: got '1000000000', expected at most 10,000"),
        ({"seeds": "9" * 6000}, "--seeds names too many.*of 6000 characters"),
        ({"looks": "5," + "9" * 6000, "workers": "9" * 6000}, "--workers cannot be read.*from 1 to 100,000"),
        ({"task": "ant"}, "--task cannot be read"),
        ({"factor": "temperature"}, "--factor names no switch"),
        ({"precision": "float8"}, "unknown precision"),
        ({"executor": "slurm"}, "unknown executor"),
        ({"workers": "0"}, "--workers cannot be read"),
        ({"gpus": "two"}, "--gpus cannot be read"),
        ({"cores": "-1"}, "--cores cannot be read"),
        ({"time_limit": "0"}, "--time-limit cannot be read.*minutes, such as 25 or 7.5"),
        ({"time_limit": "1:30"}, "--time-limit cannot be read"),
        ({"time_limit": "inf"}, "--time-limit cannot be read"),
        ({"logger": "paper"}, "logger"),
        ({"precision": "bfloat16", "device": "cpu"}, "needs a GPU"),
        ({"fail_on": "sometimes"}, "--fail-on"),
    ],
)
def test_unknown_words_are_refused(choice: dict[str, str], message: str) -> None:
    """Each unknown choice is one usage error."""
    with pytest.raises(UsageError, match=message):
        settings_of(choice)


def test_a_time_limit_is_in_minutes() -> None:
    """And none where nothing is said."""
    assert settings_of({"time_limit": "7.5"}).time_limit == 450.0
    assert settings_of({}).time_limit is None


def test_stored_results_may_be_of_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is trained, scales that need a GPU mean results of one; cpu stays cpu."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 0)

    def found(**choices: str) -> tuple[str, str]:
        made = settings_of(choices, stored=True)
        return made.device, made.precision

    assert found(scale="small") == ("cuda", "bfloat16")
    assert found(scale="small", device="cpu") == ("cpu", "float32")
    assert found(scale="mini") == ("cpu", "float32")
    assert found(scale="mini", device="cuda", precision="tf32") == ("cuda", "tf32")
    with pytest.raises(UsageError, match="no such CUDA device"):
        settings_of({"device": "cuda"}, stored=False)


@pytest.mark.parametrize(("visible", "count"), [(None, 2), ("0,1", 2), ("", 0), ("-1", 0)])
def test_hidden_gpus_are_not_there(visible: str | None, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CUDA_VISIBLE_DEVICES` empty or -1 hides them all, whenever it was set; else the driver counts."""

    class Driver:
        def cuInit(self, flags: int) -> int:
            return 0

        def cuDeviceGetCount(self, count: Any) -> int:
            count._obj.value = 2
            return 0

    monkeypatch.setattr("dtclaims.device.importlib.metadata.version", lambda name: "2.11.0")
    monkeypatch.setattr("dtclaims.device.ctypes.CDLL", lambda name: Driver())
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cuda_devices() == count


def test_a_test_that_is_not_of_gpus_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever machine it runs on, `auto` means the CPU, in processes that it starts too."""
    code = "from dtclaims.device import resolve_device; print(resolve_device('auto'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (resolve_device("auto"), done.stdout.strip()) == ("cpu", "cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_missing_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for CUDA where there is none says so, with the remedy."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 0)
    with pytest.raises(UsageError, match=r"no such CUDA device.*--device cpu"):
        settings_of({"device": "cuda"})


def test_fail_on_takes_both_spellings() -> None:
    """`not-run`, as on the command line, is the verdict `not_run`."""
    assert parse_fail_on("error, not-run,not_evaluable") == {"error", "not_run", "not_evaluable"}


def test_data_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data` takes a path, a local Minari id, `auto` or `legacy`; the header shows it. Anything else is refused."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    with pytest.raises(UsageError, match=r"--data names nothing that is here: got 'absent.hdf5'"):
        settings_of({"data": "absent.hdf5"})
    with pytest.raises(UsageError, match="dtclaims data info"):
        settings_of({"data": "mujoco/hopper/medium-v0"})
    folder = tmp_path / "minari" / "mujoco" / "hopper" / "medium-v0" / "data"
    folder.mkdir(parents=True)
    (folder / "main_data.hdf5").touch()
    for data in ("mujoco/hopper/medium-v0", "auto", "legacy", str(tmp_path)):
        settings = settings_of({"data": data})
        assert settings.options == {"data": data}
        assert f"data {data}, device" in settings.header()
    assert "data" not in settings_of({}).options


def test_defaults_are_the_scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many seeds and which tasks, where none are named, is said by the scale of the lab and by nothing else."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    for name, scale in LAB.scales.items():
        settings = settings_of({"scale": name}, stored=True)
        assert len(settings.seeds) == scale.seeds
        assert settings.tasks == (scale.tasks or LAB.tasks)


def test_a_home_that_is_not_known_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without a home: what is kept nowhere is refused with the remedy, and what names its store works."""
    for name in ("DTCLAIMS_HOME", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(UsageError, match="Set DTCLAIMS_HOME"):
        settings_of({})
    assert settings_of({"store": "here"}).store == Path("here")
    with pytest.raises(UsageError, match="folder cannot be found"):
        settings_of({"store": "~/there"})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_can_be_typed(option: Choice) -> None:
    """What the help says is meant where nothing is given is read like anything else."""
    if option.default:
        assert option.default in option.text
        assert option.read(option.default) == value_of(option.name, {})
    assert flag(option) == "--" + option.name.replace("_", "-")


@pytest.mark.parametrize("text", ["five", "8,5", "5,5", "2,5", "5,", "5,-8", "5 8", "0"])
def test_looks_that_cannot_be_declared(text: str) -> None:
    """Sizes are whole numbers that grow from three on; all else is refused before anything is planned."""
    with pytest.raises(UsageError, match="--looks cannot be read"):
        settings_of({"looks": text})


def test_looks_are_read_as_sizes() -> None:
    """5,8 means to be judged at five seeds and again at eight; nothing given declares nothing."""
    assert settings_of({"looks": "5, 8"}).looks == (5, 8)
    assert settings_of({}).looks is None


def test_a_plan_may_be_of_a_machine_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is done but to say what would be, scales that need a GPU mean one; any number may be planned."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 0)

    def found(**choices: str) -> tuple[str, int | None, int | None]:
        made = settings_of(choices, planned=True)
        return made.device, made.gpus, made.cores

    assert found(scale="small") == ("cuda", None, None)
    assert found(scale="mini") == ("cpu", None, None)
    assert found(device="cuda:5", cores="999") == ("cuda:5", None, 999)
    assert found(scale="small", gpus="8", cores="128") == ("cuda", 8, 128)
    with pytest.raises(UsageError, match="--gpus is for a session on GPUs: got --gpus 2 on cpu"):
        settings_of({"gpus": "2"}, planned=True)


def test_more_than_there_is_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that works is told so before it begins."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 2)
    assert settings_of({"device": "cuda", "gpus": "2", "cores": "1"}).gpus == 2
    with pytest.raises(UsageError, match=r"--gpus says more than there are: got 3, expected at most 2.*--plan"):
        settings_of({"device": "cuda", "gpus": "3"})
    with pytest.raises(UsageError, match="--gpus says more than there are: got 2, expected at most 1"):
        settings_of({"device": "cuda:1", "gpus": "2"})
    with pytest.raises(UsageError, match=r"--cores says more than there are: got \d+, expected at most \d+"):
        settings_of({"cores": str(cpu_count() + 1)})
    monkeypatch.delattr("os.sched_setaffinity")
    with pytest.raises(UsageError, match=r"--cores cannot limit a session on this system.*--workers"):
        settings_of({"cores": "1"})


def test_a_limited_session_sees_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither it nor a process that it starts; afterwards all is as it was."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7,9")
    counted = [
        sys.executable,
        "-c",
        "import os; print(len(os.sched_getaffinity(0)), os.environ['CUDA_VISIBLE_DEVICES'])",
    ]
    before = cpu_count()
    with limited(2, 1):
        assert (gpus_for("cuda"), cpu_count()) == (["4", "7"], 1)
        assert subprocess.run(counted, capture_output=True, text=True, check=True).stdout.split() == ["1", "4,7"]
    assert (gpus_for("cuda"), cpu_count()) == (["4", "7", "9"], before)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with limited(1, None):
        assert gpus_for("cuda") == ["0"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("device", "here", "said", "expected"),
    [
        ("cpu", 0, (None, 12), (0, 12)),
        ("cuda", 0, (None, None), (1, 16)),
        ("cuda", 0, (4, None), (4, 64)),
        ("cuda:1", 0, (None, 3), (1, 3)),
        ("cuda", 2, (4, None), (4, 64)),
    ],
)
def test_the_machine_of_a_plan(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    here: int,
    said: tuple[int | None, int | None],
    expected: tuple[int, int],
) -> None:
    """What is said; of a machine that is not here one GPU, and as many cores for each as the costs were measured on."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: here)
    assert machine_of(device, *said) == expected
    if here:
        assert machine_of(device) == (here, cpu_count())
