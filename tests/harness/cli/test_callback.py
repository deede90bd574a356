"""The bookkeeping of sweeps."""

from harness.cli.callback import NAME_LENGTH, name_of

WORDS = ["dataset=adult", "generator=tvae,ctgan", "seed=range(0,3)", "generator.epochs=4"]


def test_a_sweep_is_named_by_what_it_varies_wherever_and_however_it_runs():
    name = name_of(WORDS)
    assert name.startswith("generator=tvae,ctgan seed=range(0,3) ")
    elsewhere = ["store.root=/x", "hydra/launcher=joblib", "tracker=none", "cache=overwrite", "limits.threads=1"]
    assert name_of([*elsewhere, *WORDS[::-1]]) == name
    assert name_of([*WORDS[:-1], "generator.epochs=5"]) != name
    long = name_of([f"generator={','.join(f'generator_{i}' for i in range(40))}"])
    assert len(long) == NAME_LENGTH
    assert "…" in long


def test_a_secret_is_not_part_of_the_name(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sentinel-5f2c")
    assert "sentinel" not in name_of(["+generator.key=sentinel-5f2c,b"])
